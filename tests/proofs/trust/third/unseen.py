"""Kinds that nothing tells, and why."""

UNSEEN: dict[str, str] = {}
