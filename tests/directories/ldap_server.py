# ruff: noqa: N802  ldaptor names its methods so
"""A real LDAP server over TCP for tests: ldaptor's, with paging, ranges and limits as Active Directory has them.

python ldap_server.py FILE: FILE is JSON {port, entries: [[dn, {attribute: [values]}]], login, password, …}
and is read again with every connection, so that a test moves the directory by writing it.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from ldaptor.inmemory import ReadOnlyInMemoryLDAPEntry
from ldaptor.protocols import pureber, pureldap
from ldaptor.protocols.ldap import ldaperrors
from ldaptor.protocols.ldap.ldapserver import LDAPServer
from twisted.internet import defer, protocol, ssl
from twisted.internet import reactor as installed

PAGED = b"1.2.840.113556.1.4.319"
STARTTLS = b"1.3.6.1.4.1.1466.20037"


def tree(entries: list[list[Any]]) -> ReadOnlyInMemoryLDAPEntry:
    """The entries as a tree; parents that are not there come of themselves."""
    root = ReadOnlyInMemoryLDAPEntry(b"", {})
    made = {"": root}

    def put(dn: str, attributes: dict[str, list[bytes]]) -> None:
        rdn, parent = split(dn)
        if parent not in made:
            put(parent, {"objectClass": [b"top"]})
        kept = {name.encode(): values for name, values in attributes.items()}
        made[dn] = made[parent].addChild(rdn.encode(), kept)

    for dn, attributes in sorted(entries, key=lambda entry: len(entry[0])):
        put(
            dn,
            {
                n: [base64.b64decode(v[4:]) if v.startswith("b64:") else v.encode() for v in vs]
                for n, vs in attributes.items()
            },
        )
    return root


def split(dn: str) -> tuple[str, str]:
    at = 0
    while at < len(dn) and dn[at] != ",":
        at += 2 if dn[at] == "\\" else 1
    return dn[:at], dn[at + 1 :]


class Server(LDAPServer):
    def connectionMade(self) -> None:
        super().connectionMade()
        self.told = json.loads(self.factory.file.read_text())
        self.root = tree(self.told["entries"])
        self.pages: dict[bytes, list[Any]] = {}
        self.n_sent = 0

    def queue(self, id: int, op: Any) -> None:
        controls = getattr(op, "with_controls", None)
        self.transport.write(pureldap.LDAPMessage(op, controls=controls, id=id).toWire())

    def handle_LDAPBindRequest(self, request: Any, controls: Any, reply: Any) -> Any:
        given = (request.dn.decode(), request.auth.decode() if isinstance(request.auth, bytes) else "")
        right = given == (self.told["login"], self.told["password"])
        code = ldaperrors.Success.resultCode if right else ldaperrors.LDAPInvalidCredentials.resultCode
        return pureldap.LDAPBindResponse(resultCode=self.told.get("bind_code", code))

    def handle_LDAPExtendedRequest(self, request: Any, controls: Any, reply: Any) -> Any:
        if request.requestName != STARTTLS or not self.told.get("certificate"):
            return pureldap.LDAPExtendedResponse(resultCode=2, errorMessage=b"unsupported")
        reply(pureldap.LDAPExtendedResponse(resultCode=0, responseName=STARTTLS))
        self.transport.startTLS(self.factory.options)
        return None

    @defer.inlineCallbacks
    def handle_LDAPSearchRequest(self, request: Any, controls: Any, reply: Any) -> Any:
        paged = next((c for c in controls or () if c[0] == PAGED), None) if self.told.get("pages", True) else None
        size, cookie = page_of(paged) if paged else (None, b"")
        if cookie:
            found = self.pages.pop(cookie)
        else:
            try:
                base = yield self.root.lookup(request.baseObject)
            except ldaperrors.LDAPNoSuchObject:
                return pureldap.LDAPSearchResultDone(resultCode=32)
            found = yield base.search(filterObject=request.filter, scope=request.scope)
        most = self.told.get("size_limit")
        now, later = (found[:size], found[size:]) if size else (found, [])
        if not size and most is not None and len(found) > most:
            now, code = found[:most], 4
        else:
            code = 0
        for entry in now:
            if self.told.get("break_after") is not None and self.n_sent >= self.told["break_after"]:
                self.transport.loseConnection()
                return None
            reply(
                pureldap.LDAPSearchResultEntry(
                    objectName=entry.dn.getText(), attributes=self.attributes(entry, request)
                )
            )
            self.n_sent += 1
        done = pureldap.LDAPSearchResultDone(resultCode=self.told.get("search_code", code))
        if size:
            cookie = b"%d" % len(later) if later else b""
            self.pages[cookie] = later
            value = pureber.BERSequence([pureber.BERInteger(0), pureber.BEROctetString(cookie)]).toWire()
            done.with_controls = [(PAGED, False, value)]
        return done

    def attributes(self, entry: Any, request: Any) -> list[tuple[bytes, list[bytes]]]:
        wanted, most = [], self.told.get("range")
        for asked in request.attributes:
            name, _, span = asked.partition(b";range=")
            values = sorted(next((v for k, v in entry.items() if k.lower() == name.lower()), ()))
            start = int(span.partition(b"-")[0] or 0)
            if start and self.told.get("break_range"):
                continue
            if most and len(values) > most:
                last = start + most >= len(values)
                end = b"*" if last else b"%d" % (start + most - 1)
                wanted.append((name + b";range=%d-%s" % (start, end), values[start : start + most]))
            elif values:
                wanted.append((name, values))
        return wanted


def page_of(control: Any) -> tuple[int, bytes]:
    value = control[2].value if hasattr(control[2], "value") else control[2]
    sequence, _ = pureber.berDecodeObject(pureber.BERDecoderContext(), value)
    return sequence[0].value, sequence[1].value


class Factory(protocol.ServerFactory):
    protocol = Server

    def __init__(self, file: Path) -> None:
        self.file = file
        told = json.loads(file.read_text())
        self.options = (
            ssl.DefaultOpenSSLContextFactory(told["key"], told["certificate"]) if told.get("certificate") else None
        )


def main(file: Path) -> None:
    told = json.loads(file.read_text())
    factory = Factory(file)
    reactor: Any = installed  # its interfaces leave `self` out, which mypy does not follow
    reactor.listenTCP(told["port"], factory, interface="127.0.0.1")
    if factory.options:
        reactor.listenSSL(told["tls_port"], factory, factory.options, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
