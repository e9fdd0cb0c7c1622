"""Keeps the state folder to its owner: keys, texts and logs lie in it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from moat.settings import private_folder

OTHERS = 0o077


def exposed(home: Path) -> Iterator[Path]:
    """Paths of a state folder, itself among them, whose mode lets others in; links are not followed."""
    if not home.is_dir():
        return
    if home.stat().st_mode & OTHERS:
        yield home
    for folder, folders, files in os.walk(home):
        for name in (*folders, *files):
            path = Path(folder, name)
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:
                continue  # a server removed it meanwhile
            if mode & OTHERS and not stat.S_ISLNK(mode):
                yield path


def tighten(home: Path) -> int:
    """Take others' rights from a state folder and all in it; return how many paths had some.

    Raises SettingsError if the folder is another user's. What another user owns inside stays as it is.
    """
    private_folder(home)
    n = 0
    for path in exposed(home):
        try:
            path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~OTHERS)
        except (PermissionError, FileNotFoundError):
            continue
        n += 1
    return n
