"""Readers of sources, one file per kind of system."""
