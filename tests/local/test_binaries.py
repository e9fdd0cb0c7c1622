"""A server program comes from a release with its publisher's checksum, else from Go; never half, never twice."""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from moat.errors import FatalError
from moat.local.binaries import Program, program

TOY = Program(
    name="toy-server", version="1.2.3", repository="acme/toy", package="example.com/toy/cmd/toy-server", member="toy"
)
WORKS = b"#!/bin/sh\necho toy $*\n"
TAG = "/acme/toy/releases/tags/v1.2.3"
ARCHIVE = f"toy_{platform.system()}_{platform.machine()}.tar.gz"


def archive(**members: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as opened:
        for name, content in members.items():
            member = tarfile.TarInfo(f"toy-1.2.3/{name}")
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return made.getvalue()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Releases:
    """What a release host serves, and what it was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.url = ""

    def publish(self, content: bytes, digest: str | None, name: str = ARCHIVE) -> None:
        """A release of four files; the one for this machine is neither the first nor the last."""
        names = {"toy_Plan9_mips.tar.gz": "", name: digest, f"{name}.md5": "", "other_1.2.3.tar.gz": ""}
        listing = [{"name": n, "digest": d, "browser_download_url": f"{self.url}/moved/{n}"} for n, d in names.items()]
        self.pages |= {TAG: json.dumps({"assets": listing}).encode(), f"/files/{name}": content}


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    """A real HTTP server that sends downloads on to another address, as GitHub does."""
    served = Releases()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            content = served.pages.get(self.path)
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("location", self.path.replace("/moved/", "/files/"))
                content = b""
            else:
                self.send_response(404 if content is None else 200)
            self.send_header("content-length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only program on PATH: a `go` that notes how it was called and makes what `go install` would."""
    folder = tmp_path / "path"
    folder.mkdir()
    called = tmp_path / "called"
    script = folder / "go"
    script.write_text(f'#!/bin/sh\necho "$@" >>{called}\nprintf \'#!/bin/sh\\necho built\\n\' >"$GOBIN/toy-server"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return called


@pytest.fixture
def no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def said_by(path: Path) -> str:
    return subprocess.run([path, "--port", "1"], capture_output=True, text=True, check=True, env={}).stdout.strip()


@pytest.mark.usefixtures("no_go")
def test_a_release_with_the_right_digest_is_installed(releases: Releases, tmp_path: Path) -> None:
    content = archive(README=b"read me", toy=WORKS)
    releases.publish(content, sha256(content))
    lines: list[str] = []
    path = program(TOY, tmp_path / "bin", lines.append, releases.url)
    assert said_by(path) == "toy --port 1"
    assert [p.name for p in (tmp_path / "bin").iterdir()] == ["toy-server-1.2.3"]
    assert lines == [f"downloading {ARCHIVE}"]
    assert releases.asked == [TAG, f"/moved/{ARCHIVE}", f"/files/{ARCHIVE}"]


def test_a_release_with_a_wrong_digest_is_refused_and_nothing_of_it_stays(
    releases: Releases, go: Path, tmp_path: Path
) -> None:
    content, signed = archive(toy=WORKS), sha256(archive(toy=b"what was signed"))  # an archive has the time in it
    releases.publish(content, signed)
    with pytest.raises(FatalError) as error:
        program(TOY, tmp_path / "bin", print, releases.url)
    for word in (ARCHIVE, sha256(content).removeprefix("sha256:"), signed, "not used"):
        assert word in str(error.value)
    assert list((tmp_path / "bin").iterdir()) == []
    assert not go.exists(), "a download that was tampered with is told, not worked around"


def test_without_releases_the_same_version_is_built_by_go(releases: Releases, go: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    path = program(TOY, tmp_path / "bin", lines.append, releases.url)
    assert go.read_text() == "install example.com/toy/cmd/toy-server@v1.2.3\n"
    assert subprocess.run([path], capture_output=True, text=True, check=True, env={}).stdout == "built\n"
    assert [p.name for p in (tmp_path / "bin").iterdir()] == ["toy-server-1.2.3"]
    assert lines[0].startswith("building toy-server 1.2.3 with Go")


@pytest.mark.parametrize("digest", [None, "", "md5:0cc175b9c0f1b6a831c399e269772661"])
def test_a_release_without_a_checksum_is_not_downloaded(
    digest: str | None, releases: Releases, go: Path, tmp_path: Path
) -> None:
    releases.publish(archive(toy=WORKS), digest)
    program(TOY, tmp_path / "bin", print, releases.url)
    assert releases.asked == [TAG]
    assert go.exists()


def test_a_release_for_other_machines_only_is_not_downloaded(releases: Releases, go: Path, tmp_path: Path) -> None:
    content = archive(toy=WORKS)
    releases.publish(content, sha256(content), "toy_Plan9_riscv.tar.gz")
    program(TOY, tmp_path / "bin", print, releases.url)
    assert releases.asked == [TAG]
    assert go.exists()


def test_a_release_that_lacks_the_program_is_built_by_go(releases: Releases, go: Path, tmp_path: Path) -> None:
    content = archive(README=b"read me")
    releases.publish(content, sha256(content))
    program(TOY, tmp_path / "bin", print, releases.url)
    assert go.exists()


def test_a_host_that_nobody_reaches_is_no_obstacle(go: Path, tmp_path: Path) -> None:
    program(TOY, tmp_path / "bin", print, "http://127.0.0.1:9")
    assert go.exists()


@pytest.mark.usefixtures("no_go")
def test_with_no_way_open_both_reasons_are_told(tmp_path: Path) -> None:
    with pytest.raises(FatalError) as error:
        program(TOY, tmp_path / "bin", print, "http://127.0.0.1:9")
    for word in ("toy-server 1.2.3", "releases are out of reach (ConnectError)", "Go is not installed", "Install Go"):
        assert word in str(error.value)
    assert list((tmp_path / "bin").iterdir()) == []


def test_what_go_says_when_it_fails_is_told(go: Path, tmp_path: Path) -> None:
    (tmp_path / "path" / "go").write_text("#!/bin/sh\necho first\necho no such host >&2\nexit 1\n")
    with pytest.raises(FatalError, match="go install failed: first / no such host"):
        program(TOY, tmp_path / "bin", print, "http://127.0.0.1:9")
    assert list((tmp_path / "bin").iterdir()) == []


def test_what_is_there_is_neither_downloaded_nor_built(releases: Releases, go: Path, tmp_path: Path) -> None:
    content = archive(toy=WORKS)
    releases.publish(content, sha256(content))
    first = program(TOY, tmp_path / "bin", print, releases.url)
    asked, written = len(releases.asked), first.stat()
    assert program(TOY, tmp_path / "bin", print, releases.url) == first
    assert (len(releases.asked), first.stat()) == (asked, written)
    assert not go.exists()


def test_another_version_stands_beside_it(releases: Releases, go: Path, tmp_path: Path) -> None:
    program(TOY, tmp_path / "bin", print, releases.url)
    program(
        Program(name="toy-server", version="1.2.4", repository=TOY.repository, package=TOY.package, member=TOY.member),
        tmp_path / "bin",
        print,
        releases.url,
    )
    assert {p.name for p in (tmp_path / "bin").iterdir()} == {"toy-server-1.2.3", "toy-server-1.2.4"}
    assert go.read_text().splitlines()[1].endswith("@v1.2.4")
