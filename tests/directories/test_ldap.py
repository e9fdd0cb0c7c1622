"""Groups of a real LDAP server, spoken to over TCP and TLS."""

import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moat.connections import EnvironmentConnections
from moat.directories import ldap
from moat.directories.directory import Directory, Ldap
from moat.directories.reader import DirectoryGroup, DirectoryReading
from moat.errors import DirectoryUnavailable, FatalError
from moat.local import servers
from moat.local.servers import free_ports
from tests.contracts.directory import ANN, BOB, Company, DirectoryContract

pytestmark = [  # ldap3 2.9.1 uses names of pyasn1 and of Python 3.11 that go
    pytest.mark.filterwarnings("ignore:.*is deprecated. Please use:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning"),
]
BASE, LOGIN = "dc=example,dc=com", "cn=moat,dc=example,dc=com"
PERSON, GROUP = ["top", "person"], ["top", "groupOfNames"]


class Site:
    """An LDAP server as a test moves it: every new connection sees what was last written."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told = folder, dict[str, Any]()
        certificate, key = certified(folder, "127.0.0.1")
        port, tls_port = free_ports(2)
        self.ports = {"none": port, "starttls": port, "ldaps": tls_port}
        self.fixed = {"port": port, "tls_port": tls_port, "certificate": certificate, "key": key}
        self.reset()

    @property
    def file(self) -> Path:
        return self.folder / "directory.json"

    def reset(self) -> None:
        self.told = {**self.fixed, "entries": [[BASE, {"objectClass": ["top"]}]], "login": LOGIN, "password": "secret"}
        self.write()

    def write(self, **told: Any) -> None:
        self.told |= told
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(self.told))
        draft.rename(self.file)

    def add(self, dn: str, **attributes: list[str]) -> None:
        self.told["entries"].append([f"{dn},{BASE}", attributes])
        self.write()

    def person(self, uid: str, *mail: str) -> str:
        self.add(f"uid={uid},ou=people", objectClass=PERSON, **({"mail": list(mail)} if mail else {}))
        return f"uid={uid},ou=people,{BASE}"

    def group(self, cn: str, *members: str, **more: list[str]) -> str:
        attributes = {"objectClass": GROUP, "cn": [cn], "entryUUID": [f"id-{cn}"], "member": list(members), **more}
        self.add(f"cn={cn},ou=groups", **{name: values for name, values in attributes.items() if values})
        return f"cn={cn},ou=groups,{BASE}"

    def put(self, groups: Any) -> None:
        self.reset()
        for who in sorted({m for members in groups.values() for m in members if m.startswith("user:")}):
            self.person(who.removeprefix("user:"), who.removeprefix("user:"))
        for name, members in groups.items():
            dns = [
                f"uid={m[5:]},ou=people,{BASE}" if m.startswith("user:") else f"cn={m[6:]},ou=groups,{BASE}"
                for m in members
            ]
            self.group(name, *dns, entryUUID=[name])

    def connections(self, tls: str = "none", **changed: Any) -> EnvironmentConnections:
        told = {"conn_type": "generic", "host": "127.0.0.1", "port": self.ports[tls], "login": LOGIN}
        told |= {"password": "secret", "extra": {"tls": tls, "ca_file": self.fixed["certificate"]}, **changed}
        return EnvironmentConnections({"AIRFLOW_CONN_AD": json.dumps(told)})

    def read(self, connections: EnvironmentConnections | None = None, **changed: str) -> list[DirectoryGroup]:
        reader = Ldap(**{"conn_id": "ad", "base": BASE, **changed})
        return list(reader.read(DirectoryReading("hr", connections or self.connections(), self.folder, print)))


def certified(folder: Path, host: str) -> tuple[str, str]:
    """Files of a certificate for a host that signs itself, and of its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(paths[0]), str(paths[1])


@pytest.fixture(scope="module")
def ldap_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    import socket

    made = Site(tmp_path_factory.mktemp("ldap"))

    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", made.fixed["tls_port"])) == 0

    program = [sys.executable, str(Path(__file__).with_name("ldap_server.py")), str(made.file)]
    with servers.running(servers.start("ldap", program, {}, made.folder, ready)):
        yield made


@pytest.fixture
def site(ldap_server: Site) -> Site:
    ldap_server.reset()
    return ldap_server


class TestLdap(DirectoryContract):
    @pytest.fixture
    def people(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> Company:
        monkeypatch.setattr(ldap, "PAGE", 5)
        reader = Ldap(conn_id="ad", base=BASE)
        broken = lambda: site.write(break_after=7)  # noqa: E731
        return Company(
            reader=reader,
            connections=site.connections(),
            project=site.folder,
            put=site.put,
            break_listing=broken,
        )


@pytest.mark.parametrize("tls", ["ldaps", "starttls", "none"])
def test_it_speaks_ldaps_and_starttls_with_the_certificate_checked(tls: str, site: Site) -> None:
    site.group("staff", site.person("ann", "ann@example.com"))
    assert site.read(site.connections(tls)) == [DirectoryGroup("id-staff", (ANN,), "staff")]


@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
def test_a_certificate_that_nobody_trusts_ends_it(tls: str, site: Site) -> None:
    with pytest.raises(FatalError, match="ca_file"):
        site.read(site.connections(tls, extra={"tls": tls}))


# ldap3 forgets the socket of `localhost`'s first address, where nobody listens.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
def test_a_certificate_of_another_host_ends_it(tls: str, site: Site) -> None:
    with pytest.raises(FatalError, match="ca_file"):
        site.read(site.connections(tls, host="localhost"))


def test_pages_that_the_server_does_not_make_are_no_matter(site: Site) -> None:
    site.put({f"g{i}": [ANN] for i in range(12)})
    site.write(pages=False)
    assert len(site.read()) == 12


def test_a_listing_that_a_limit_of_the_server_cuts_is_none(site: Site) -> None:
    site.put({f"g{i}": [ANN] for i in range(12)})
    site.write(pages=False, size_limit=5)
    with pytest.raises(FatalError, match=r"directory hr.*sizeLimitExceeded.*half a listing is none"):
        site.read()


def test_many_members_come_in_ranges_as_active_directory_gives_them(site: Site) -> None:
    people = [site.person(f"p{i}", f"p{i}@example.com") for i in range(23)]
    site.group("staff", *people)
    site.write(range=5)
    (group,) = site.read()
    assert sorted(group.members) == sorted(f"user:p{i}@example.com" for i in range(23))


def test_a_range_that_breaks_off_is_no_group(site: Site) -> None:
    site.group("staff", *(site.person(f"p{i}", f"p{i}@example.com") for i in range(23)))
    site.write(range=5, break_range=True)
    with pytest.raises(DirectoryUnavailable, match="broke off after 5 values"):
        site.read()


def test_active_directorys_object_guid_is_written_as_people_know_it(site: Site) -> None:
    number = uuid.UUID("5f0f4b0e-6d5a-5d0e-9a53-6d6f61740001")
    raw = "b64:" + base64.b64encode(number.bytes_le).decode()
    site.group("staff", site.person("ann", "ann@example.com"), objectGUID=[raw])
    (group,) = site.read(id="objectGUID")
    assert (group.id, group.name) == (str(number), "staff")


def test_a_group_keeps_its_id_when_people_rename_it(site: Site) -> None:
    site.group("staff", site.person("ann", "ann@example.com"), entryUUID=["4f1"])
    before = site.read()
    site.told["entries"] = [e for e in site.told["entries"] if not e[0].startswith("cn=staff")]
    site.group("crew", f"uid=ann,ou=people,{BASE}", entryUUID=["4f1"])
    (after,) = site.read()
    assert [(g.id, g.members) for g in before] == [(after.id, after.members)]


def test_whom_the_directory_does_not_know_is_left_out_and_told(site: Site) -> None:
    stranger, nameless = f"uid=gone,ou=people,{BASE}", site.person("robot")
    site.group("staff", site.person("ann", "ann@example.com"), stranger, nameless)
    (group,) = site.read()
    assert group.members == (ANN,)
    assert sorted(group.left_out) == sorted([stranger, nameless])


def test_one_person_with_two_addresses_goes_by_both(site: Site) -> None:
    site.group("staff", site.person("ann", "ann@example.com", "a.lee@example.com"))
    (group,) = site.read()
    assert set(group.members) == {ANN, "user:a.lee@example.com"}


def test_two_people_of_one_address_refuse_the_reading_and_are_named(site: Site) -> None:
    site.person("ann", "ann@example.com")
    site.person("annette", "Ann@Example.com")
    with pytest.raises(FatalError) as error:
        site.read()
    for word in ("uid=ann,ou=people", "uid=annette,ou=people", ANN):
        assert word in str(error.value)


def test_a_group_without_its_id_says_which_and_what_else_there_is(site: Site) -> None:
    site.group("staff", site.person("ann", "ann@example.com"), entryUUID=[])
    with pytest.raises(FatalError, match=r"group cn=staff.* has no entryUUID.*objectGUID"):
        site.read()


@pytest.mark.parametrize(
    ("told", "changed", "kind", "words"),
    [
        ({"password": "other"}, {}, FatalError, "login and password"),
        ({"bind_code": 52}, {}, DirectoryUnavailable, "unavailable"),
        ({"search_code": 51}, {}, DirectoryUnavailable, "busy"),
        ({"search_code": 50}, {}, FatalError, "what the account may read"),
        ({"search_code": 12}, {}, FatalError, "correct the connection"),
        ({}, {"base": "dc=elsewhere"}, FatalError, "correct `base`"),
        ({}, {"users": "(mail=*"}, FatalError, "users="),
    ],
)
def test_every_answer_says_whether_to_wait_or_what_to_do(
    told: dict[str, Any], changed: dict[str, str], kind: type[Exception], words: str, site: Site
) -> None:
    site.put({"staff": [BOB]})
    site.write(**told)
    with pytest.raises(kind, match=words):
        if "users" in changed:
            Directory(name="hr", reader=Ldap(conn_id="ad", base=BASE, **changed))
        site.read(None, **changed)


def test_a_filter_that_is_none_needs_a_person(site: Site) -> None:
    with pytest.raises(FatalError, match="LDAPInvalidFilterError"):
        site.read(users="(&(mail=*)")


def test_a_server_that_is_not_there_may_come_back(site: Site) -> None:
    with pytest.raises(DirectoryUnavailable, match="directory hr: connection ad"):
        site.read(site.connections(port=free_ports(1)[0]))


def test_a_server_that_says_nothing_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(ldap, "ANSWER_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DirectoryUnavailable, match="did not answer"):
        site.read(site.connections(port=silent.getsockname()[1]))


def test_a_server_without_starttls_says_so(site: Site) -> None:
    site.write(certificate="")
    with pytest.raises(FatalError, match="does not take StartTLS: LDAPStartTLSError"):
        site.read(site.connections("starttls", extra={"tls": "starttls"}))


def test_a_protection_that_does_not_exist_is_refused(site: Site) -> None:
    with pytest.raises(FatalError, match="tls is 'off'"):
        site.read(site.connections(extra={"tls": "off"}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("uid=Ann,OU=People,dc=x", "UID=ann, ou=people ,DC=X"),
        ("cn=a  b,dc=x", "cn=a b,dc=x"),
        ("cn=Lee\\, Ann,dc=x", "CN=lee\\2c ann,dc=x"),
        ("cn=zoë,dc=x", "cn=zo\\c3\\ab,dc=x"),
        ("cn=a+uid=b,dc=x", "UID=b+CN=a,dc=x"),
    ],
)
def test_spellings_of_one_dn_are_the_same(one: str, other: str) -> None:
    assert ldap.same(one) == ldap.same(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a\\,dc=x", "cn=a,dc=x"),
        ("cn=a\\+b=c,dc=x", "cn=a+b=c,dc=x"),
        ("cn=a,dc=x", "cn=a,dc=y"),
        ("cn=a\\ ,dc=x", "cn=a,dc=x"),
    ],
)
def test_dns_that_differ_are_not(one: str, other: str) -> None:
    assert ldap.same(one) != ldap.same(other)


def test_no_library_of_a_directory_is_imported_by_declaring_one() -> None:
    code = (
        "import sys\nfrom include.people.directory import *\n"
        "print([n for n in ('ldap3', 'httpx', 'sqlalchemy', 'yaml', 'airflow') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['yaml']")  # rules of access read YAML
