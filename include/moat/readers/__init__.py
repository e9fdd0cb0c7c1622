"""read: what a source has, compared with the ledger. One file per kind of system, and the stage."""
