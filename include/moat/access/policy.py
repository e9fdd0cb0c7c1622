"""Access policies: principals, and the access tokens that stand for them in the index.

Access has three states, never two: known, known and empty (nobody), and unknown. Documents of unknown
access are never loaded and never shown. Loading and searching share one way to canonicalize principals.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from moat.access.names import LONGEST, canonical_name
from moat.errors import AccessUnknown
from moat.ids import digest

PUBLIC = "public"
KINDS = ("user", "group")
TOKEN = re.compile(r"^(?:public|[ugp]:[a-z2-7]{32})$")
SHOWN = 120  # characters of a principal that a message shows
PLAIN_LIMIT = 256  # principals; a wider policy is one token, so that a change is one write


def canonical(principal: str) -> str:
    """Canonicalize a principal: `User:Alice@Example.com` -> `user:alice@example.com`.

    The name's form is that of `moat.access.names`. Raises AccessUnknown for anything that two systems could
    read differently or that could pass for another: no kind, an empty name, white space, invisible or
    compatibility characters, two scripts in one name, more than 512 characters.
    """
    shown = repr(principal if len(principal) <= SHOWN else f"{principal[: SHOWN - 1]}…")
    kind, colon, name = principal.partition(":")
    kind = kind.lower()
    if not colon or kind not in KINDS:
        raise AccessUnknown(f"principal {shown} has no kind: write user:… or group:…")
    if not name:
        raise AccessUnknown(f"principal {shown} has no name after {kind}:")
    return (
        within_limit(f"{kind}:{canonical_name(name, shown)}") if len(principal) <= LONGEST else within_limit(principal)
    )


def without_kind(principal: str, kind: str) -> str:
    """The text without `user:` or `group:` in front, whichever `kind` is, in any case."""
    return principal[len(kind) + 1 :] if principal.lower().startswith(f"{kind}:") else principal


def within_limit(principal: str) -> str:
    """The principal. Raises AccessUnknown if it is longer than the ledger holds."""
    if len(principal) > LONGEST:
        raise AccessUnknown(
            f"principal {principal[: SHOWN - 1] + '…'!r} has {len(principal):,} characters: {LONGEST} at the most"
        )
    return principal


def directory_of(principal: str) -> str:
    """Directory of a canonical group: `okta` of `group:okta/00g1`; otherwise ""."""
    kind, _, name = principal.partition(":")
    directory, parted, _ = name.partition("/")
    return directory if kind == "group" and parted else ""


@lru_cache(65_536)  # an asker may stand for thousands, in every search
def access_token(tenant: str, principal: str) -> str:
    """The access token of a canonical principal, as `allow` in the index holds it."""
    if principal == PUBLIC:
        return PUBLIC
    kind = principal.partition(":")[0]
    return f"{kind[0]}:{digest('principal', tenant, principal)}"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may read: one principal of every layer, and none in deny.

    Principals are canonical; `public` in a layer stands for every known asker. A policy with an empty layer
    is known and empty: nobody may read.

    Attributes:
        layers: Sets of principals; an asker needs one of each set.
        deny: Principals that may not read, whatever the layers say.
    """

    layers: tuple[frozenset[str], ...]
    deny: frozenset[str] = frozenset()

    @classmethod
    def of(cls, allow: Iterable[str], deny: Iterable[str] = (), public: bool = False) -> "Policy":
        """Make a policy of one layer from principals as people write them. Raises AccessUnknown."""
        layer = frozenset(canonical(p) for p in allow) | (frozenset([PUBLIC]) if public else frozenset())
        return cls((layer,), frozenset(canonical(p) for p in deny)).normal()

    def normal(self) -> "Policy":
        """Return the normal form of the policy, so that equal policies have equal digests."""
        layers = {layer - self.deny for layer in self.layers}
        if frozenset() in layers or not layers:
            return Policy((frozenset(),))
        narrow = {layer for layer in layers if PUBLIC not in layer} or {frozenset([PUBLIC])}
        least = [layer for layer in narrow if not any(other < layer for other in narrow)]
        return Policy(tuple(sorted(least, key=sorted)), self.deny)

    def both(self, other: "Policy") -> "Policy":
        """Return the policy of those who satisfy both policies."""
        return Policy(self.layers + other.layers, self.deny | other.deny).normal()

    def allows(self, principals: frozenset[str]) -> bool:
        """Whether someone with these canonical principals may read; everyone has `public`."""
        everyone = principals | {PUBLIC}
        return not (self.deny & everyone) and all(layer & everyone for layer in self.layers)

    def widens(self, old: "Policy") -> bool:
        """Whether this policy could admit someone whom `old` does not; yes if in doubt."""
        if self.nobody:
            return False
        narrower = all(PUBLIC in was or any(new <= was for new in self.layers) for was in old.layers)
        return not (narrower and self.deny >= old.deny)

    def within(self, directory: str) -> "Policy":
        """Return the policy with bare groups qualified by a directory: `group:x` -> `group:okta/x`.

        Raises AccessUnknown for a group that becomes longer than the ledger holds.
        """
        if not directory:
            return self

        def qualified(principals: frozenset[str]) -> frozenset[str]:
            return frozenset(
                within_limit(f"group:{directory}/{p.removeprefix('group:')}")
                if p.startswith("group:") and "/" not in p
                else p
                for p in principals
            )

        return Policy(tuple(map(qualified, self.layers)), qualified(self.deny)).normal()

    @property
    def nobody(self) -> bool:
        """Whether nobody may read."""
        return frozenset() in self.layers

    @property
    def public(self) -> bool:
        """Whether it admits every known asker, except those it denies."""
        return any(PUBLIC in layer for layer in self.layers)

    @property
    def plain(self) -> bool:
        """Whether it is any of a few principals, stored as their tokens."""
        return not self.deny and len(self.layers) == 1 and len(self.layers[0]) <= PLAIN_LIMIT

    def words(self) -> str:
        """Describe the policy: `any of group:hr and any of group:all, but not user:b@x.org`."""
        if self.nobody:
            return "nobody"
        layers = (
            "everyone who is known" if layer == {PUBLIC} else f"any of {', '.join(sorted(layer))}"
            for layer in self.layers
        )
        return " and ".join(layers) + (f", but not {', '.join(sorted(self.deny))}" if self.deny else "")

    def text(self) -> str:
        """Serialize as canonical JSON, for the ledger and staging."""
        return json.dumps(
            {"layers": [sorted(layer) for layer in self.layers], "deny": sorted(self.deny)},
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )

    @classmethod
    def from_text(cls, text: str) -> "Policy":
        """Read a policy from its JSON."""
        body = json.loads(text)
        return cls(tuple(frozenset(layer) for layer in body["layers"]), frozenset(body["deny"]))

    def digest(self, tenant: str) -> str:
        """Name of the policy in the ledger."""
        return digest("policy", tenant, self.text())

    def tokens(self, tenant: str) -> tuple[str, ...]:
        """Access tokens of the policy in the index, sorted; empty if nobody may read."""
        if self.nobody:
            return ()
        if self.plain:
            return tuple(sorted(access_token(tenant, p) for p in self.layers[0]))
        return (f"p:{self.digest(tenant)}",)


@dataclass(frozen=True, slots=True)
class Access:
    """Access to one document by its source's rule: a policy, or unknown with the reason."""

    policy: Policy | None
    reason: str = ""

    @classmethod
    def unknown(cls, reason: str) -> "Access":
        """Return unknown access with its reason."""
        return cls(None, reason)
