"""Server programs: pinned releases, or built by Go from the module proxy.

A release is used only if its SHA-256 matches the publisher's; Go verifies what it builds against its
own checksum database.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from moat.errors import FatalError

RELEASES = "https://api.github.com/repos"
CONNECT_S = 5.0  # a closed network should fail at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A server program at one version."""

    name: str
    version: str
    repository: str  # of its releases
    package: str  # for go install
    member: str  # its name inside a release's archive


WEAVIATE = Program(
    name="weaviate-server",
    version="1.39.3",
    repository="weaviate/weaviate",
    package="github.com/weaviate/weaviate/cmd/weaviate-server",
    member="weaviate",
)
S3 = Program(
    name="versitygw",
    version="1.8.0",
    repository="versity/versitygw",
    package="github.com/versity/versitygw/cmd/versitygw",
    member="versitygw",
)


def program(wanted: Program, folder: Path, say: Callable[[str], None], releases: str = RELEASES) -> Path:
    """Path of a program, downloaded or built if needed. Raises FatalError if neither works."""
    path = folder / f"{wanted.name}-{wanted.version}"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        made = Path(temporary, wanted.name)
        reasons = []
        for bring in (_released, _built):
            try:
                bring(wanted, made, say, releases)
            except _NotThisWay as reason:
                reasons.append(str(reason))
            else:
                made.chmod(0o755)
                os.replace(made, path)
                return path
    raise FatalError(
        f"{wanted.name} {wanted.version} cannot be had: {'; '.join(reasons)}. Install Go (1.24 or later), or open the network to releases"
    )


class _NotThisWay(Exception):
    """This source of a program is unavailable; there is another."""


def _released(wanted: Program, made: Path, say: Callable[[str], None], releases: str) -> None:
    system, machine = (
        platform.system().lower(),
        {"x86_64": "amd64|x86_64", "aarch64": "arm64|aarch64"}.get(platform.machine(), platform.machine()),
    )
    name = re.compile(rf"{wanted.member}.*{system}.*({machine}|all).*\.tar\.gz$", re.IGNORECASE)
    try:
        with httpx.Client(timeout=httpx.Timeout(300.0, connect=CONNECT_S), follow_redirects=True) as http:
            listing = (
                http.get(f"{releases}/{wanted.repository}/releases/tags/v{wanted.version}").raise_for_status().json()
            )
            asset = next((a for a in listing["assets"] if name.search(a["name"])), None)
            if asset is None or not str(asset.get("digest", "")).startswith("sha256:"):
                raise _NotThisWay("its release has no archive with a checksum for this machine")
            say(f"downloading {asset['name']}")
            content = http.get(asset["browser_download_url"]).raise_for_status().content
    except (httpx.HTTPError, ValueError, KeyError, OSError) as error:
        raise _NotThisWay(f"releases are out of reach ({type(error).__name__})") from error
    if (found := hashlib.sha256(content).hexdigest()) != asset["digest"].removeprefix("sha256:"):
        raise FatalError(f"{asset['name']} has SHA-256 {found}, its publisher lists {asset['digest']}: it was not used")
    archive = made.with_suffix(".tar.gz")
    archive.write_bytes(content)
    with tarfile.open(archive) as opened:
        member = next((m for m in opened if Path(m.name).name == wanted.member and m.isfile()), None)
        source = opened.extractfile(member) if member is not None else None
        if source is None:
            raise _NotThisWay(f"its release holds no {wanted.member}")
        with source, made.open("wb") as target:
            shutil.copyfileobj(source, target)


def _built(wanted: Program, made: Path, say: Callable[[str], None], releases: str) -> None:
    go = shutil.which("go")
    if go is None:
        raise _NotThisWay("Go is not installed")
    say(f"building {wanted.name} {wanted.version} with Go; the first time this takes some minutes")
    done = subprocess.run(
        [go, "install", f"{wanted.package}@v{wanted.version}"],
        env={**os.environ, "GOBIN": str(made.parent), "GOFLAGS": "-buildvcs=false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise _NotThisWay(f"go install failed: {' / '.join(done.stdout.strip().splitlines()[-3:])}")
