"""Whether the disk of a folder has room."""

import shutil
from pathlib import Path

LEAST_FREE_RATIO, LEAST_FREE_GB = 0.1, 2


def disk_room(folder: Path) -> tuple[bool, str]:
    """Whether 10 % and 2 GB are free where a folder is, or will be; and how much is, in words."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    found = shutil.disk_usage(there)
    room = found.free >= max(LEAST_FREE_RATIO * found.total, LEAST_FREE_GB << 30)
    words = f"{found.free / (1 << 30):,.1f} GB free of {found.total / (1 << 30):,.1f} GB at {folder}"
    return room, words if room else f"{words}: at least 10 % and {LEAST_FREE_GB} GB are needed"
