"""The text of a query, as it can stand inside another one."""

import re
from pathlib import Path

LAST = re.compile(r";\s*(?:(?:--[^\n]*|/\*.*?\*/)\s*)*\Z", re.DOTALL)  # a semicolon with nothing but comments after it


def query_in(file: Path) -> str:
    """Read a query, without the semicolons at its end.

    A last line of its own keeps a comment at the end from hiding what is put behind the query.

    Raises:
        OSError: The file cannot be read.
    """
    text = file.read_text("utf-8-sig").strip()
    while found := LAST.search(text):
        text = text[: found.start()].rstrip()
    return f"{text}\n"
