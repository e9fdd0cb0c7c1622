"""Content risks: personal data, secrets, hidden text, prompt injection; found and answered between clean and chunk.

One rule holds for all of it: what is found leaves this package as kinds and counts, never as a value.
"""

VERSION = "1"  # rises when the same text would be judged otherwise; every document is then prepared again
