"""Groups of an LDAP directory: OpenLDAP, 389, FreeIPA, Active Directory."""

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from moat.connections import Connection
from moat.declarations import declared
from moat.directories.reader import DirectoryGroup, DirectoryReading, People
from moat.errors import DirectoryUnavailable, FatalError
from moat.foreign import said

ATTRIBUTE = re.compile(r"^[A-Za-z][A-Za-z0-9-]*$")
PAGE = 500  # entries per page; every server allows that many
CONNECT_S, ANSWER_S = 10, 60
PAGED, RANGE = "1.2.840.113556.1.4.319", ";range="
SUCCESS, NO_SUCH_OBJECT, SIZE_LIMIT, LOGIN = 0, 32, 4, {48, 49, 50, 53}
PASSING = {3, 51, 52}  # time limit, busy, unavailable
TLS = ("ldaps", "starttls", "none")


@declared
class Ldap:
    """Read every group below a base DN, with its people and groups.

    The connection has host, port, login (the DN that binds; empty: anonymous) and password. Its extra takes
    `tls` (`ldaps`, the default, `starttls` or `none`) and `ca_file`, certificates to trust instead of the
    system's.

    Attributes:
        conn_id: Connection of the server.
        base: DN below which people and groups are searched.
        users: Filter of people, in parentheses.
        principal: Attribute that identifies a person; with several values, a person has each of these ids.
        groups: Filter of groups, in parentheses.
        id: Attribute that identifies a group and never changes.
        member: Attribute with the DNs of a group's members.
        name: Attribute with a group's display name, which is shown and never compared.

    Example:
        Active Directory, without disabled accounts:

            Ldap(
                conn_id="ad",
                base="DC=example,DC=com",
                users="(&(objectCategory=person)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
                id="objectGUID",
            )
    """

    conn_id: str
    base: str
    users: str = "(objectClass=person)"
    principal: str = "mail"
    groups: str = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group))"
    id: str = "entryUUID"
    member: str = "member"
    name: str = "cn"

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        found = [f"{field} is empty" for field in ("conn_id", "base") if not getattr(self, field)]
        filters = [f for f in ("users", "groups") if not re.match(r"^\(.+\)$", getattr(self, f))]
        found += [f"{f}={getattr(self, f)!r}: a filter in parentheses, such as (objectClass=person)" for f in filters]
        names = [f for f in ("principal", "id", "member", "name") if not ATTRIBUTE.match(getattr(self, f))]
        return found + [f"{f}={getattr(self, f)!r} is not an attribute's name" for f in names]

    def read(self, reading: DirectoryReading) -> Iterator[DirectoryGroup]:
        """Yield every group of the server. Raises DirectoryUnavailable, FatalError."""
        where = f"directory {reading.directory}"
        with _opened(reading.connections.get(self.conn_id), where) as server:
            people = People(reading.directory)
            for dn, values in server.entries(self.base, self.users, [self.principal]):
                people.add(same(dn), [value.decode("utf-8", "replace") for value in values[self.principal]], dn)
            entries = list(server.entries(self.base, self.groups, [self.id, self.name, self.member]))
        ids = {same(dn): self._id(dn, values[self.id], where) for dn, values in entries}
        for dn, values in entries:
            members: list[str] = []
            left_out = []
            for raw in values[self.member]:
                shown = raw.decode("utf-8", "replace")
                key = same(shown)
                found = (f"group:{ids[key]}",) if key in ids else people.principals(key)
                members += found
                left_out += [] if found else [shown]
            name = b"".join(values[self.name][:1]).decode("utf-8", "replace")
            yield DirectoryGroup(ids[same(dn)], tuple(members), name, tuple(left_out))

    def _id(self, dn: str, values: Sequence[bytes], where: str) -> str:
        if len(values) != 1:
            raise FatalError(
                f"{where}: group {dn} has {len(values) or 'no'} {self.id}; let the account read it, or name in `id` the "
                "attribute that never changes: entryUUID, nsUniqueId, ipaUniqueID, in Active Directory objectGUID"
            )
        if self.id.lower() == "objectguid":
            return str(UUID(bytes_le=values[0]))
        try:
            return values[0].decode("utf-8")
        except UnicodeDecodeError:
            raise FatalError(f"{where}: {self.id} of group {dn} is no text; name another attribute in `id`") from None


def same(dn: str) -> str:
    """Normalize a DN, so that spellings with other case, spaces or escapes are equal."""
    parts: list[tuple[str, str]] = [("", "")]  # each attribute or value so far, with its terminator
    at = 0
    while at < len(dn):
        text, _ = parts[-1]
        if dn[at] == "\\":
            pairs = re.match(r"(?:\\[0-9A-Fa-f]{2})+", dn[at:])
            taken = pairs[0] if pairs else dn[at : at + 2]
            plain = bytes.fromhex(taken.replace("\\", "")).decode("utf-8", "replace") if pairs else taken[1:]
            # Escaped characters stay apart from separators and from insignificant spaces.
            parts[-1] = (text + "".join(f"\\{c}" if c in ",+ " else c for c in plain), "")
            at += len(taken)
            continue
        parts[-1] = (text, dn[at]) if dn[at] in ",+" else (text + dn[at], "")
        if dn[at] in ",+":
            parts.append(("", ""))
        at += 1
    rdns: list[list[str]] = [[]]
    for text, end in parts:
        attribute, _, value = text.partition("=")
        rdns[-1].append(f"{attribute.strip()}={re.sub(' +', ' ', value.strip())}".casefold())
        if end == ",":
            rdns.append([])
    return ",".join("+".join(sorted(rdn)) for rdn in rdns)


@contextmanager
def _opened(connection: Connection, where: str) -> "Iterator[_Server]":
    """Open a bound connection that maps errors, verifies certificates and follows no referrals."""
    import ldap3
    from ldap3.core import exceptions

    at = f"{where}: connection {connection.conn_id}"
    mode = str(connection.extra.get("tls") or "ldaps")
    if mode not in TLS:
        raise FatalError(f"{at}: tls is {mode!r} in its extra; it must be {', '.join(TLS)}")
    opened = None
    try:
        # ldap3 verifies the host by itself; without `validate` it would accept any certificate.
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=connection.extra.get("ca_file"))
        host = connection.host.partition("://")[2] or connection.host
        server = ldap3.Server(
            host,
            port=connection.port or (636 if mode == "ldaps" else 389),
            use_ssl=mode == "ldaps",
            tls=None if mode == "none" else tls,
            get_info=ldap3.NONE,
            connect_timeout=CONNECT_S,
        )
        opened = ldap3.Connection(
            server,
            connection.login or None,
            connection.password or None,
            receive_timeout=ANSWER_S,
            auto_referrals=False,  # so the password goes to no other server
            auto_range=False,  # ldap3's own ignores a range that fails
            check_names=False,
            return_empty_attributes=False,
        )
        opened.open(read_server_info=False)
        if mode == "starttls" and not opened.start_tls(read_server_info=False):
            raise FatalError(f"{at}: the server does not take StartTLS: {_words(opened)}")
        if not opened.bind(read_server_info=False):
            _refuse(opened, at, f"bind as {connection.login or 'nobody'}")
        yield _Server(opened, at)
    except exceptions.LDAPException as error:
        if "certificate" in str(error).lower():
            remedy = (
                "set `ca_file` in its extra to the certificates to trust, and the host to the name that they are for"
            )
            raise FatalError(f"{at}: {said(error)}; {remedy}") from None
        if isinstance(error, exceptions.LDAPStartTLSError):
            raise FatalError(f"{at}: the server does not take StartTLS: {said(error)}") from None
        if isinstance(error, exceptions.LDAPCommunicationError | exceptions.LDAPResponseTimeoutError):
            raise DirectoryUnavailable(f"{at}: the server did not answer, or broke off: {said(error)}") from None
        raise FatalError(f"{at}: {said(error)}; correct the connection or the declaration") from None
    finally:
        if opened is not None and opened.bound:
            opened.unbind()
        if opened is not None and opened.socket is not None:
            opened.socket.close()  # ldap3 leaves it open if the connection fails


class _Server:
    """A bound connection, with the queries that Moat needs."""

    def __init__(self, opened: Any, where: str) -> None:
        self._opened, self._where = opened, where

    def entries(
        self, base: str, condition: str, attributes: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, list[bytes]]]]:
        """Yield every entry below a DN, page by page; whole, or an error."""
        cookie: bytes | None = None
        while True:
            self._search(base, condition, attributes, "SUBTREE", cookie)
            result, response = self._opened.result, self._opened.response
            for entry in response or ():
                if entry["type"] == "searchResEntry":
                    yield entry["dn"], {name: self._values(entry, name) for name in attributes}
            cookie = (result.get("controls") or {}).get(PAGED, {}).get("value", {}).get("cookie")
            if not cookie:
                return

    def _values(self, entry: Mapping[str, Any], name: str) -> list[bytes]:
        """All values of an attribute; Active Directory returns many in ranges of 1,500."""
        found = _attribute(entry, name)
        values, last = found or ([], None)
        while last is not None:
            self._search(entry["dn"], "(objectClass=*)", [f"{name}{RANGE}{last + 1}-*"], "BASE", None)
            more = [_attribute(one, name) for one in self._opened.response or () if one["type"] == "searchResEntry"]
            if len(more) != 1 or more[0] is None or not more[0][0]:
                raise DirectoryUnavailable(
                    f"{self._where}: {name} of {entry['dn']} broke off after {last + 1:,} values"
                )
            values, last = values + more[0][0], more[0][1]
        return values

    def _search(self, base: str, condition: str, attributes: Sequence[str], scope: str, cookie: bytes | None) -> None:
        paged = {} if scope == "BASE" else {"paged_size": PAGE, "paged_cookie": cookie}
        self._opened.search(base, condition, scope, attributes=list(attributes), **paged)
        if self._opened.result["result"] != SUCCESS:
            _refuse(self._opened, self._where, f"search of {condition} below {base}")


def _attribute(entry: Mapping[str, Any], name: str) -> tuple[list[bytes], int | None] | None:
    """Values of an attribute, and where its range ends, if any."""
    found = None
    for key, values in entry["raw_attributes"].items():
        plain, ranged, span = key.lower().partition(RANGE)
        if plain == name.lower() and ranged:
            end = span.partition("-")[2]
            return list(values), None if end == "*" else int(end)
        if plain == name.lower():
            found = (list(values), None)
    return found


def _words(opened: Any) -> str:
    """The library's name of the answer's code; the server's own words may quote what it was asked."""
    return str((opened.result or {}).get("description") or "no answer")


def _refuse(opened: Any, where: str, what: str) -> None:
    """Raise what the server's answer means for the caller."""
    code, words = opened.result["result"], _words(opened)
    if code in PASSING:
        raise DirectoryUnavailable(f"{where}: {what}: {words}")
    if code == SIZE_LIMIT:
        remedy = "half a listing is none: raise the server's limit for this account, or let it page"
    elif code == NO_SUCH_OBJECT:
        remedy = "correct `base`, or let the account see it"
    elif code in LOGIN:
        remedy = "check the connection's login and password, and what the account may read"
    else:
        remedy = "correct the connection or the declaration"
    raise FatalError(f"{where}: {what}: {words}; {remedy}")
