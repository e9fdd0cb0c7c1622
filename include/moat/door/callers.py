"""Who asks the door: the bearer of a JWT, or the person for whom a service asks.

The door looks at a token to count its bearer's requests and to know services. Whether it holds for an answer is the
retriever's to say, which is given the token itself.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from moat.door.limits import Rates
from moat.errors import AccessUnknown, DoorRefused, SettingsError, TokenRefused
from moat.search.askers import Asker, Bearer
from moat.search.jwt import Verifier
from moat.settings import Settings, parted

ON_BEHALF = "moat-on-behalf-of"
PERSON = re.compile(r"user:\S.{0,250}")
PRINCIPAL = re.compile(r"(?:user|group):\S.*")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request."""

    asker: Asker
    name: str  # canonical, for counting and for the log; empty where the token does not hold
    by: str = ""  # the service that asks for them


class Callers:
    """Tells who asks; safe to use from several tasks.

    Args:
        settings: Settings of this process.
        person: Who asks where a request has no token: of `moat door --as`, for development. Empty: nobody.
    """

    def __init__(self, settings: Settings, person: str = "") -> None:
        self._verifier, self.person = Verifier(settings), person
        self._services = frozenset(principals_in("door_services", settings.door_services))
        self._rates = Rates(settings.door_rate_per_minute)
        self._audited = Rates(settings.door_rate_per_minute)  # of tokens that do not hold, by address

    async def of(self, headers: Mapping[str, str], address: str) -> Caller:
        """Tell who makes a request, and count it.

        Args:
            headers: Headers of the request, by their names in lower case; several of one name are joined by commas.
            address: Where the request comes from.

        Returns:
            The caller; its asker is a Bearer whose token the retriever verifies, or the person a service named.

        Raises:
            DoorRefused: `token_missing`, `not_on_behalf`, `too_many_requests`.
        """
        scheme, _, token = headers.get("authorization", "").strip().partition(" ")
        token, person = token.strip(), unquote(headers.get(ON_BEHALF, "").strip())
        if not scheme and self.person:
            caller = Caller(self.person, self.person)
        elif scheme.lower() != "bearer" or not token:
            raise DoorRefused("token_missing")
        else:
            caller = Caller(Bearer(token), await asyncio.to_thread(self._proved, token))
        if person and caller.name and person != caller.asker:
            if caller.name not in self._services:
                raise DoorRefused("not_on_behalf")
            if not PERSON.fullmatch(person) or not person.isprintable():
                raise DoorRefused("asked_wrongly", "Moat-On-Behalf-Of names a person: user:ID, percent-encoded")
            caller = Caller(person, person.lower(), by=caller.name)
        if caller.name:
            self._rates.take(caller.name)
        elif not self._audited.allows(address):
            raise DoorRefused("token_refused")  # here, so that whoever sends many such tokens does not fill the audit
        return caller

    def _proved(self, token: str) -> str:
        """The person that a token proves; empty if it does not hold."""
        try:
            return self._verifier.person(token)
        except (TokenRefused, AccessUnknown):
            return ""


def principals_in(setting: str, value: str) -> tuple[str, ...]:
    """Principals of a setting. Raises SettingsError for a name without its kind."""
    found = parted(value)
    if strange := [one for one in found if not PRINCIPAL.fullmatch(one)]:
        raise SettingsError(f"MOAT_{setting.upper()}: {', '.join(strange)}: write user:ID or group:ID")
    return found
