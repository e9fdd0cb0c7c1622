"""Identity of an asker: a person, a service, or a JWT's subject."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from moat.access.names import LONGEST
from moat.access.policy import KINDS, canonical
from moat.errors import AccessUnknown, TokenRefused, TooManyPrincipals
from moat.ledger.members import MOST_PRINCIPALS, Expansions
from moat.search.askers import Asker, Bearer, Service

if TYPE_CHECKING:
    from moat.search.jwt import Verifier

__all__ = ["Asker", "Bearer", "Identity", "Service", "identified", "name_of", "principals"]

MOST_OF_A_SERVICE = 1_000
SECRET = re.compile(r"eyJ[\w-]*\.|(?i:bearer )")  # beginning of a JWT, whatever precedes it


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified asker: the name for the audit, and the canonical principals to expand."""

    name: str
    principals: tuple[str, ...]


def name_of(asker: object) -> str:
    """Name an unverified asker for the audit.

    Anything but a principal may be a secret, so it is not repeated.
    """
    match asker:
        case None | "":
            return "nobody"
        case str() if asker.startswith(tuple(f"{kind}:" for kind in KINDS)) and not SECRET.search(asker):
            return asker[:LONGEST]
        case str():
            return f"a text of {len(asker):,} characters"
        case Service(name=str(name)) if not SECRET.search(name):
            return f"service:{name[:LONGEST]}"
        case Bearer():
            return "a token"
        case _:
            return f"a {type(asker).__name__}"


def identified(asker: object, verifier: "Verifier") -> Identity:
    """Verify an asker. Raises AccessUnknown for a malformed one, TokenRefused for an invalid JWT."""
    match asker:
        case Bearer(token=token):
            who = verifier.person(token)
            return Identity(who, (who,))
        case Service(name=name, principals=principals):
            return _service(name, principals)
        case None | "":
            raise AccessUnknown("nobody asks")
        case _:
            who = _principal(asker)
            return Identity(who, (who,))


def principals(connection: Connection, expansions: Expansions, who: Identity) -> frozenset[str]:
    """Expand an identity to all the principals that it stands for now, groups included.

    Raises AccessUnknown for an unknown asker, DirectoryStale if the groups are too old, TooManyPrincipals past
    the limit.
    """
    found: set[str] = set()
    for principal in who.principals:
        of_one = expansions.of(connection, principal)
        if not of_one:
            of = "" if who.name == principal else f", for whom {who.name} asks"
            raise AccessUnknown(f"nobody knows {principal}{of}: in no group and in no policy")
        found |= of_one
    if len(found) > MOST_PRINCIPALS:
        raise TooManyPrincipals(
            f"{who.name} stands for {len(found):,} principals, at the most {MOST_PRINCIPALS:,}: give it fewer groups"
        )
    return frozenset(found)


def _service(name: object, principals: object) -> Identity:
    if not isinstance(name, str) or not re.fullmatch(r"[\w.@/-]{1,128}", name) or SECRET.search(name):
        raise AccessUnknown("a service has a name of 1 to 128 letters, digits and . @ / _ -")
    if not isinstance(principals, tuple | list | set | frozenset) or not 0 < len(principals) <= MOST_OF_A_SERVICE:
        raise AccessUnknown(f"service {name} must stand for 1 to {MOST_OF_A_SERVICE:,} principals")
    return Identity(f"service:{name}", tuple(sorted({_principal(p) for p in principals})))


def _principal(asker: object) -> str:
    """Canonicalize a principal; the message does not repeat anything else."""
    if not isinstance(asker, str):
        raise AccessUnknown(f"{name_of(asker)} is no asker: user:…, a Service or a Bearer is")
    if SECRET.search(asker):
        raise TokenRefused("a token came as a name, so nothing was verified: pass Bearer(token)")
    if len(asker) > LONGEST or not asker.startswith(tuple(f"{kind}:" for kind in KINDS)):
        raise AccessUnknown(f"{name_of(asker)} is no principal: write user:…, of {LONGEST} characters at the most")
    return canonical(asker)
