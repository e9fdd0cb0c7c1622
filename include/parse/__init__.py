"""parse: raw bytes -> text with structure."""

VERSION = "2"  # rises when the same bytes would give other blocks; every document is then parsed again
