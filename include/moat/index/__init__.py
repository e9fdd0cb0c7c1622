"""Weaviate: its one door, its schema, and writing that is proved."""
