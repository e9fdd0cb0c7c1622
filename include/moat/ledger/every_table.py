"""All tables of the ledger; some stand beside the code that writes them."""

from moat.ledger import id_secret, moves, pass_tables, read_tables, rebuilds
from moat.ledger.tables import metadata

__all__ = ["id_secret", "metadata", "moves", "pass_tables", "read_tables", "rebuilds"]
