"""The embedded default: every server that Moat needs, on one machine, without Docker."""
