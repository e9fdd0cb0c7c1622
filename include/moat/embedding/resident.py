"""Finds the resident embedder of this machine, and starts it where none runs."""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx

from moat.answered import shown
from moat.embedding.address import Address, address_of
from moat.embedding.answers import info_of
from moat.errors import EmbedderHung, EmbedderUnavailable, ModelError, WrongServer
from moat.loopback import is_loopback
from moat.settings import Settings, private_folder
from moat.waiting import told

ASKING_S = 10.0  # for a word whether it is an embedder
_started: list[subprocess.Popen[bytes]] = []  # started by this process and left running


def ensure_running(
    settings: Settings, wait_s: float = ASKING_S, progress: Callable[[str], None] | None = None
) -> Address:
    """Return the address of the embedder of these settings, starting it if none runs here.

    One that is there has `wait_s` seconds to answer, ten at the most; one that is started has MOAT_EMBEDDER_START_S.
    Raises ModelError if it serves another model, WrongServer if it is no embedder, EmbedderUnavailable if it hangs or
    does not start, SettingsError for an address beyond this machine without a key.
    """
    address, wait_s = address_of(settings), min(wait_s, ASKING_S)
    if serves(address, settings, wait_s):
        return address
    if not is_loopback(settings.embedder_host):
        raise EmbedderUnavailable(f"no embedder answers at {address.shown}; start `moat embedder` there")
    private_folder(settings.home)
    with told(progress, f"waits for an embedder to start at {address.shown}"), _locked(settings):
        if serves(address, settings, wait_s):
            return address
        if holder := _holder(settings, address):
            raise EmbedderUnavailable(
                f"no embedder can start at {address.shown}: {holder} takes connections there and gives no answer. "
                "End it, or set MOAT_EMBEDDER_PORT to a free port"
            )
        log = settings.home / "logs" / "embedder.log"
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.touch(0o600)
        with log.open("ab") as out:
            # A session of its own and no inherited files, so that it outlives the task that starts it.
            _started.append(
                child := subprocess.Popen(
                    [sys.executable, "-m", "moat.embedding.server"],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                    close_fds=True,
                    umask=0o077,
                    env={**os.environ, "MOAT_HOME": str(settings.home)},
                )
            )
        deadline = time.monotonic() + settings.embedder_start_s
        while time.monotonic() < deadline and child.poll() is None:
            with contextlib.suppress(EmbedderHung):  # it is starting
                if serves(address, settings):
                    return address
            time.sleep(0.2)
        how = "ended before it answered"
        if child.poll() is None:
            child.kill()
            how = f"gave no answer within {settings.embedder_start_s:g} s, MOAT_EMBEDDER_START_S"
        tail = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise EmbedderUnavailable(
            f"the embedder did not start at {address.shown}, it {how}: {' / '.join(tail) or 'no word in its log'}; see {log}"
        )


def serves(address: Address, settings: Settings, wait_s: float = ASKING_S) -> bool:
    """Whether an embedder answers within `wait_s` seconds.

    Raises ModelError if it serves another model, WrongServer for something else, EmbedderUnavailable for one that
    takes connections and does not answer, and for a stranger.
    """
    with address.client(httpx.Timeout(wait_s)) as http:  # refuses a stranger's socket before anything connects
        if address.socket is not None and not _listens(address.socket):
            return False
        try:
            answer = http.get("/health")
        except httpx.TimeoutException as late:
            if isinstance(late, httpx.ConnectTimeout) and not is_loopback(settings.embedder_host):
                return False  # the machine cannot be reached
            raise EmbedderHung(_hung(address, settings, wait_s)) from None
        except httpx.TransportError:
            return False
        except httpx.DecodingError:
            raise WrongServer(_stranger(address, "what is not compressed as it says")) from None
    if answer.status_code >= 500:
        raise EmbedderUnavailable(f"the embedder at {address.shown} is in trouble, its log says why: {shown(answer)}")
    if not answer.is_success:
        raise WrongServer(_stranger(address, shown(answer)))
    try:
        found = info_of(answer)
    except ValueError as odd:
        raise WrongServer(_stranger(address, f"{odd}; {shown(answer)}")) from None
    with contextlib.suppress(OSError):
        _answered(settings).touch(0o600)
    if found.model != settings.model:
        raise ModelError(
            f"the embedder at {address.shown} serves {found.model}, MOAT_MODEL is {settings.model}: stop it, or set MOAT_EMBEDDER_PORT to another port"
        )
    return True


def _stranger(address: Address, found: str) -> str:
    return (
        f"something else than an embedder answers at {address.shown}/health: {found}. "
        "End it, or set MOAT_EMBEDDER_PORT to a free port"
    )


def _hung(address: Address, settings: Settings, wait_s: float) -> str:
    """What is said of an embedder that takes connections and does not answer: which process, and since when."""
    who, last = address.listener(), ""
    with contextlib.suppress(OSError):
        at = datetime.fromtimestamp(_answered(settings).stat().st_mtime, UTC)
        last = f" It answered last at {at:%Y-%m-%d %H:%M} UTC."
    local = is_loopback(settings.embedder_host)
    mend = "End it: the next task or search starts another." if local else "Start `moat embedder` there again."
    return (
        f"the embedder at {address.shown} hangs: it takes connections and gave no answer within {wait_s:g} s"
        f"{f'; it is {who}' if who else ''}.{last} {mend}"
    )


def _answered(settings: Settings) -> Path:
    """The file whose time tells when the embedder answered last."""
    return settings.home / "embedder.answered"


def _holder(settings: Settings, address: Address) -> str:
    """What takes connections at the port that an embedder would need; empty if nothing does."""
    if address.socket is not None:
        return ""
    try:
        socket.create_connection((settings.embedder_host, settings.embedder_port), 1.0).close()
    except OSError:
        return ""
    return address.listener() or "something"


def _listens(path: Path) -> bool:
    """Whether anybody takes a connection at a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(str(path))
        except (TimeoutError, BlockingIOError):
            return True  # its queue is full: it is there, and takes none of it
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Let one process at a time start the embedder of this state folder."""
    file = settings.home / "embedder.lock"
    file.touch(0o600)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
