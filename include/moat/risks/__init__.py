"""Content risks: personal data, secrets, hidden text and prompt injection, between clean and chunk.

What is found leaves this package as kinds and counts, never as a value.
"""
