"""Names of files, compared as people read them: composed or not, capitals or not.

macOS writes an é as two characters, Windows takes `Incident` and `incident` for one name. A pattern that
missed a name by its bytes alone would fall through to the next, wider rule.
"""

import unicodedata
from pathlib import PurePosixPath

YAML = (".yaml", ".yml")
ENDINGS = (*YAML, ".json", ".toml", ".txt")
BY_PROGRAMS = (".bak", ".orig", ".swp", ".tmp", "~")  # endings of copies that editors leave
RESOURCE_FORK = "._"  # how macOS begins the name of a file's attributes, beside the file


def folded(name: str) -> str:
    """A name or pattern without the differences of case and of Unicode's composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def looks_like(name: str, wanted: str) -> bool:
    """Whether a file seems to be meant as an access file, and is none by its name.

    Args:
        name: The file's name.
        wanted: The name of access files, such as `.access.yaml`.

    Returns:
        True for another case, a missing dot, another ending, and one letter too many, missing, changed or swapped,
        in a name that begins with a dot or ends as YAML. Copies that editors leave are no access files.
    """
    plain = folded(unicodedata.normalize("NFKC", name)).strip()
    if name == wanted or plain.startswith(RESOURCE_FORK) or plain.endswith(BY_PROGRAMS):
        return False
    plain = plain.removesuffix(".txt")
    if not plain.startswith(".") and not plain.endswith(YAML):
        return False  # a document may be called access.md
    ours, theirs = _bare(folded(wanted)), _bare(plain)
    return theirs == ours or (len(ours) > 3 and _one_apart(theirs, ours))


def _bare(name: str) -> str:
    """The letters of a name before its ending."""
    path = PurePosixPath(name.strip("."))
    stem = path.stem if path.suffix in ENDINGS else path.name
    return "".join(letter for letter in stem if letter.isalnum()).removesuffix("yaml").removesuffix("yml")


def _one_apart(one: str, other: str) -> bool:
    """Whether one letter is changed, added, missing, or swapped with the next."""
    if abs(len(one) - len(other)) > 1:
        return False
    short, long = sorted((one, other), key=len)
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    return short[at + 1 :] == long[at + 1 :] or (
        short[at + 2 :] == long[at + 2 :] and short[at : at + 2] == long[at : at + 2][::-1]
    )
