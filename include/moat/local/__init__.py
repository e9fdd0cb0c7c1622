"""The local stack: every server that Moat needs, on one machine, without Docker."""
