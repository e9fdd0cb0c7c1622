"""Who is in which group: directories of people, read whole and swapped into the ledger."""
