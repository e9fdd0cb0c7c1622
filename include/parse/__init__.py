"""parse: raw bytes -> text with structure."""

VERSION = "1"  # rises when the same bytes would give other blocks; every document is then parsed again
