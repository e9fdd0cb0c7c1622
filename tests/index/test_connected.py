"""A Weaviate with TLS by a certificate authority of the company's own, and gRPC under another host's name."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moat.errors import FatalError, SettingsError
from moat.index.store import WeaviateStore
from moat.monitoring import servers
from moat.settings import Settings


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


def ending_tls(folder: Path, targets: Sequence[int]) -> Iterator[list[int]]:
    """Ports that end TLS in front of others, as a load balancer does."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(target: int) -> asyncio.Server:
        async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inside = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(pump(reader, inside[1]), pump(inside[0], writer))

        return await asyncio.start_server(passed_on, "127.0.0.1", 0, ssl=context)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = [asyncio.run_coroutine_threadsafe(serve(target), loop).result(30) for target in targets]
    yield [server.sockets[0].getsockname()[1] for server in made]
    for server in made:
        loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.close()


@pytest.fixture
def company(weaviate_server: Settings, tmp_path: Path) -> Iterator[Settings]:
    """The settings that lead to a Weaviate behind TLS, with gRPC under another name of its host."""
    authority(tmp_path)
    for http, grpc in ending_tls(tmp_path, [weaviate_server.weaviate_port, weaviate_server.weaviate_grpc_port]):
        own = {"weaviate_grpc_host": "localhost", "weaviate_secure": True, "collection": "MoatTls"}
        own |= {"weaviate_port": http, "weaviate_grpc_port": grpc, "weaviate_ca_file": str(tmp_path / "ca.pem")}
        yield weaviate_server.model_copy(update=own)


def test_a_weaviate_of_the_companys_own_authority_is_trusted_by_its_certificate_alone(
    company: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    store = WeaviateStore.open(company, "operator")
    try:
        store.ensure("m@1/2")
        assert store.exists()
        assert list(store.every()) == []
        assert store.read_back(["00000000-0000-0000-0000-000000000001"]) == {}, "which is asked by gRPC"
    finally:
        store._client.collections.delete(company.collection_name)
        store.close()
    assert "answers, version" in servers._weaviate(company, 20.0)

    with pytest.raises(FatalError, match="its certificate is not trusted: set MOAT_WEAVIATE_CA_FILE"):
        WeaviateStore.open(company.model_copy(update={"weaviate_ca_file": ""}), "writer")
    with pytest.raises(SettingsError, match=r"MOAT_WEAVIATE_CA_FILE=/none\.pem cannot be read"):
        WeaviateStore.open(company.model_copy(update={"weaviate_ca_file": "/none.pem"}), "writer")
