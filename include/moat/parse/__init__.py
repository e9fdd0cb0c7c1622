"""parse: raw bytes -> text with structure."""
