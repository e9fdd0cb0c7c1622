"""Canonical names of principals: one form each, and none that could pass for another.

ASCII names only lose their capital letters. Other names keep the PRECIS profile UsernameCaseMapped (RFC 8265),
an address's domain is written as DNS holds it (IDNA 2008), and no character outside ASCII ever becomes one
inside. What remains is refused where it looks like something else: compatibility characters, two scripts in
one name, letters that only look like ASCII.
"""

import re
import unicodedata

from moat.errors import AccessUnknown

LONGEST = 512  # characters of a principal; the limit of the ledger's columns
NO_ID = frozenset('"<>[];')  # they come from a list or a display name that was not taken apart
SEVERAL = re.compile(r"(?i),\s*(?:user|group):|@.*,.*@")  # a list in the place of one principal
# Scripts that one language writes together (UTS 39, "highly restrictive").
TOGETHER = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
)
ANY_SCRIPT = frozenset({"COMMON", "INHERITED"})
DOTLESS = "ı"  # a letter of Turkish: it resembles i, and is told apart


def canonical_name(name: str, shown: str) -> str:
    """Canonicalize the name of a principal, what stands after `user:` or `group:`.

    Args:
        name: The name as it is written.
        shown: The principal as messages show it.

    Returns:
        The canonical name; canonicalizing it again changes nothing.

    Raises:
        AccessUnknown: Two systems could read the name differently, or a person could take it for another.
    """
    for character in name:
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}:
            raise AccessUnknown(
                f"principal {shown} holds U+{ord(character):04X}: a principal is an id, not a display name"
            )
    if strange := sorted(NO_ID.intersection(name)):
        raise AccessUnknown(
            f"principal {shown} holds {' '.join(strange)}: write each principal by itself, without quotes"
        )
    if SEVERAL.search(name):
        raise AccessUnknown(f"principal {shown} is several, with a comma between: write each by itself")
    return name.lower() if name.isascii() else _beyond_ascii(name, shown)


def _beyond_ascii(name: str, shown: str) -> str:
    name = unicodedata.normalize("NFC", _unmixed(name, shown))
    local, at, domain = name.partition("@")
    if "@" in domain:
        raise AccessUnknown(f"principal {shown} holds @ twice: an id outside of ASCII has one, or none")
    parts = [_part(part, shown) if part and not part.isascii() else part.lower() for part in local.split("/")]
    return "/".join(parts) + (at + ".".join(_label(label, shown) for label in domain.split(".")) if at else "")


def _unmixed(name: str, shown: str) -> str:
    """The name, whose characters outside of ASCII all stay there, in every form."""
    for character in name:
        if character.isascii():
            continue
        composed = unicodedata.normalize("NFC", character)
        if unicodedata.normalize("NFKC", character) != composed or any(c.isascii() for c in composed.lower()):
            raise AccessUnknown(
                f"principal {shown} holds U+{ord(character):04X}, one of the compatibility characters that look like others"
            )
    return name


def _part(part: str, shown: str) -> str:
    """A person's or a group's own name, by the profile of usernames."""
    from precis_i18n import get_profile

    _one_script(part, shown)
    try:
        made: str = get_profile("UsernameCaseMapped").enforce(part)
    except UnicodeEncodeError as error:
        raise AccessUnknown(f"principal {shown} is no username by RFC 8265: {error.reason}") from None
    return made


def _label(label: str, shown: str) -> str:
    """One label of a domain, as DNS holds it."""
    import idna

    if label.isascii():
        return label.lower()
    label = unicodedata.normalize("NFC", label.lower())
    _one_script(label, shown)
    try:
        return idna.alabel(label).decode("ascii")
    except idna.IDNAError as error:
        raise AccessUnknown(f"principal {shown} has no domain by IDNA 2008: {str(error)[:100]}") from None


def _one_script(part: str, shown: str) -> None:
    """Raise AccessUnknown for a part that a person could take for another."""
    from confusable_homoglyphs import categories
    from confusable_homoglyphs.confusables import confusables_data

    scripts = {categories.alias(character) for character in part} - ANY_SCRIPT
    if len(scripts) > 1 and not any(scripts <= together for together in TOGETHER):
        mixed = " and ".join(sorted(script.capitalize() for script in scripts))
        raise AccessUnknown(f"principal {shown} mixes {mixed} in one name, so that it could pass for another")
    if re.search("[ij][\u0300-\u036f]*\u0307", unicodedata.normalize("NFD", part).lower()):
        raise AccessUnknown(f"principal {shown} holds a second dot on i or j, which nobody sees")
    beyond = [character for character in part.lower() if not character.isascii()]
    if all(c != DOTLESS and any(like["c"].isascii() for like in confusables_data.get(c, ())) for c in beyond):
        raise AccessUnknown(f"principal {shown} looks as if it were plain ASCII, and is not")
