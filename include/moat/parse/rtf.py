"""Rich Text Format: .rtf."""

from moat.parse.job import Job, Parsed
from moat.parse.rtf_reader import Reader
from moat.parse.rtf_tokens import tokens
from moat.parse.story import joined_hidden, once


def parse_rtf(content: bytes, job: Job) -> Parsed:
    """Parse a text in RTF.

    Heads and feet stand first, once each; notes, comments and text boxes right after the paragraph that they belong
    to. A file that breaks off gives what stands before.
    """
    reader = Reader(job)
    for token in tokens(content):
        reader.take(token)
    text = reader.end()
    return Parsed(joined_hidden(once(reader.heads, set()) + text))
