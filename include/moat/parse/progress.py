"""How far the child is in a document, as a file in its folder that tells the parent once the child is dead."""

import contextlib
import os
import re
from pathlib import Path

NAME = "progress"
TOLD = re.compile(rb"(page|sheet|slide) (\d{1,6}) of (\d{1,6})")
_folder: Path | None = None  # set in the child alone


def keep_in(folder: str) -> None:
    """Keep progress in this folder from now on."""
    global _folder
    _folder = Path(folder)


def reached(what: str, number: int, of: int) -> None:
    """Note how far the document is; does nothing outside of the child."""
    if _folder is not None:
        with contextlib.suppress(OSError):
            (_folder / NAME).write_text(f"{what} {number} of {of}")


def left_by(folder: str) -> str:
    """What a child noted last, such as "page 12 of 337"; the child is not trusted, so nothing else is taken."""
    try:
        file = os.open(Path(folder) / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        found = TOLD.fullmatch(os.read(file, 64))
    except OSError:
        return ""
    finally:
        os.close(file)
    return found[0].decode() if found else ""


def forget(folder: str) -> None:
    """Forget how far the document before was."""
    with contextlib.suppress(OSError):
        (Path(folder) / NAME).unlink(missing_ok=True)
