"""Content risks: personal data, secrets, hidden text, prompt injection; found and answered between clean and chunk.

One rule holds for all of it: what is found leaves this package as kinds and counts, never as a value.
"""
