"""A Weaviate with TLS by a certificate authority of the company's own, and gRPC under another host's name."""

import datetime
import ipaddress
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moat.errors import IndexUnavailable, MoatError, SettingsError
from moat.index.store import WeaviateStore
from moat.local.binaries import WEAVIATE, program
from moat.local.servers import free_ports
from moat.monitoring import servers
from moat.settings import Settings
from tests.servers import BINARIES

KEY = "the-key-of-the-company"


def authority(folder: Path) -> None:
    """Files of a certificate authority, and of a server of 127.0.0.1 and localhost that it vouches for."""
    now, keys = datetime.datetime.now(datetime.UTC), [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Company CA", "localhost")]
    also = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    for n, file in enumerate(("ca", "server")):
        made = (
            x509.CertificateBuilder()
            .subject_name(names[n])
            .issuer_name(names[0])
            .public_key(keys[n].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=n == 0, path_length=None), critical=True)
        )
        made = made.add_extension(also, critical=False) if n else made
        (folder / f"{file}.pem").write_bytes(
            made.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
    pem = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.key").write_bytes(pem)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Settings]:
    """The settings that lead to a Weaviate with TLS on both ports."""
    authority(tmp_path)
    port, grpc_port, *others = free_ports(6)
    certificate, key = str(tmp_path / "server.pem"), str(tmp_path / "server.key")
    env = {
        **os.environ,
        "PERSISTENCE_DATA_PATH": str(tmp_path / "data"),
        "AUTHENTICATION_APIKEY_ENABLED": "true",
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
        "AUTHENTICATION_APIKEY_ALLOWED_KEYS": KEY,
        "AUTHENTICATION_APIKEY_USERS": "moat",
        "DISABLE_TELEMETRY": "true",
        "GRPC_PORT": str(grpc_port),
        "GRPC_CERT_FILE": certificate,
        "GRPC_KEY_FILE": key,
        "CLUSTER_HOSTNAME": f"tls-{port}",
        "CLUSTER_IN_LOCALHOST": "true",
        "CLUSTER_GOSSIP_BIND_PORT": str(others[0]),
        "CLUSTER_DATA_BIND_PORT": str(others[0] + 1),
        "RAFT_PORT": str(others[2]),
        "RAFT_INTERNAL_RPC_PORT": str(others[3]),
        "RAFT_BOOTSTRAP_EXPECT": "1",
        "RAFT_JOIN": f"tls-{port}:{others[2]}",
        "CLUSTER_BIND_ADDR": "127.0.0.1",
        "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
        "AUTOSCHEMA_ENABLED": "false",
        "DEFAULT_VECTORIZER_MODULE": "none",
        "ENABLE_MODULES": "",
        "LOG_LEVEL": "error",
    }
    command = [str(program(WEAVIATE, BINARIES, print)), "--host", "127.0.0.1", "--scheme", "https"]
    command += ["--tls-port", str(port), "--tls-host", "127.0.0.1", "--tls-certificate", certificate, "--tls-key", key]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        trusted = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        for _ in range(600):
            try:
                httpx.get(
                    f"https://127.0.0.1:{port}/v1/.well-known/ready", verify=trusted, trust_env=False
                ).raise_for_status()
                break
            except httpx.HTTPError:
                assert server.poll() is None, (tmp_path / "log").read_text()[-2000:]
                time.sleep(0.1)
        yield Settings.model_validate(
            {
                "weaviate_port": port,
                "weaviate_grpc_host": "localhost",
                "weaviate_grpc_port": grpc_port,
                "weaviate_secure": True,
                "weaviate_ca_file": str(tmp_path / "ca.pem"),
                **{f"weaviate_{role}_key": KEY for role in ("operator", "writer", "reader")},
            }
        )
    finally:
        server.kill()
        server.wait()


def test_a_weaviate_of_the_companys_own_authority_is_trusted_by_its_certificate_alone(
    company: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    store = WeaviateStore.open(company, "writer")
    try:
        store.ensure("m@1/2")
        assert store.exists()
        assert list(store.every()) == [], "which is asked by gRPC"
    finally:
        store.close()
    assert "answers, version" in servers._weaviate(company, 20.0)

    for wrong in ({"weaviate_ca_file": ""}, {"weaviate_grpc_host": "127.0.0.2"}):
        with pytest.raises((IndexUnavailable, MoatError)):
            other = WeaviateStore.open(company.model_copy(update=wrong), "writer")
            list(other.every())
    with pytest.raises(SettingsError, match=r"MOAT_WEAVIATE_CA_FILE=.*none\.pem cannot be read"):
        WeaviateStore.open(company.model_copy(update={"weaviate_ca_file": "/none.pem"}), "writer")
