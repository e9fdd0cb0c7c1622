"""Who asks, as a program says it; `search/identity.py` verifies it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Service:
    """A program that asks for itself, and stands for all of these principals and their groups.

    Attributes:
        name: Name for the audit, 1 to 128 letters, digits and `. @ / _ -`.
        principals: Up to 1,000 principals, `user:ID` or `group:ID`.

    Example:
        A report that reads what two groups may read:

            Service("weekly-report", ("group:sales", "group:staff"))
    """

    name: str
    principals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bearer:
    """A JWT that is verified before anything is read; neither its repr nor any message shows it.

    Attributes:
        token: The JWT, without the word Bearer.

    Example:
        The token of a web request:

            Bearer(request.headers["authorization"].removeprefix("Bearer "))
    """

    token: str = field(repr=False)


Asker = str | Service | Bearer | None
