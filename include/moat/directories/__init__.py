"""Directories of people and groups: read whole and swapped into the ledger."""
