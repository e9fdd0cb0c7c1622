"""Maintenance besides loading: access sync, reconciliation, erasure, diagnosis of the set-up."""
