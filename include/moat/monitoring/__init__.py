"""Monitoring of a running Moat: health, metrics, lineage."""
