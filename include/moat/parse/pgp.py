"""Armour of OpenPGP inside a plain text (RFC 9580), which is no text."""

import re

from moat.records import Block, LeftOut

SIGNED = re.compile(r"^-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\n(?:[A-Za-z-]+:[^\n]*\n)*\n?", re.MULTILINE)
ARMOUR = re.compile(r"^-----BEGIN PGP ([A-Z ]+)-----[ \t]*$.*?(?:^-----END PGP \1-----[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)  # fmt: skip


def without_armour(text: str) -> tuple[str, list[Block]]:
    """Split a text into what people read, and blocks of signatures, keys and encrypted messages."""
    if "-----BEGIN PGP " not in text:
        return text, []
    found = list[Block]()

    def taken(armour: re.Match[str]) -> str:
        rule: LeftOut = "unreadable part" if armour[1] == "MESSAGE" else "signature"
        found.append(Block(kind="text", text=armour[0], left_out=rule))
        return ""

    plain, n_signed = SIGNED.subn("", text)
    if n_signed:
        plain = re.sub(r"^- (?=-)", "", plain, flags=re.MULTILINE)  # dashes are escaped in a signed text
    return ARMOUR.sub(taken, plain), found
