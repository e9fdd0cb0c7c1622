"""Where the resident embedder of some settings listens, and how a client reaches it safely.

On this machine it is a unix socket that only this user can open. Over TCP every request is sealed with a key.
"""

import hashlib
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from moat.embedding.sealed import SealedTransport
from moat.errors import EmbedderUnavailable, SettingsError
from moat.listening import at_socket, at_url
from moat.loopback import is_loopback
from moat.settings import Settings, private_folder

LONGEST_PATH = 100  # bytes; Linux takes 107 for a socket, macOS 103


@dataclass(frozen=True, slots=True)
class Address:
    """Where an embedder listens: a socket, or a URL with the key that seals requests to it."""

    shown: str  # for people
    url: str
    socket: Path | None
    key: str = field(repr=False)

    def client(self, timeout: httpx.Timeout) -> httpx.Client:
        """Open a client that gives nothing away. Raises EmbedderUnavailable for a socket of another user."""
        if self.socket is None:
            transport: httpx.BaseTransport = SealedTransport(self.key, _plain(None))
        else:
            _check_owner(self.socket)
            transport = _plain(str(self.socket))
        return httpx.Client(base_url=self.url, transport=transport, timeout=timeout, trust_env=False)

    def listener(self) -> str:
        """The process of this machine that listens here, in words; empty where that is not known."""
        return at_socket(self.socket) if self.socket is not None else at_url(self.url)


def address_of(settings: Settings) -> Address:
    """Where the resident embedder of these settings listens.

    A unix socket on this machine; TCP where MOAT_EMBEDDER_HOST names another address, or MOAT_EMBEDDER_PORT is set.
    Raises SettingsError for an address beyond this machine without a key.
    """
    host, port, key = settings.embedder_host, settings.embedder_port, settings.embedder_key.get_secret_value()
    local = is_loopback(host)
    if local and "embedder_port" not in settings.model_fields_set:
        path = _socket_path(settings.home)
        return Address(f"unix:{path}", "http://embedder", path, "")
    if not key and not local:
        raise SettingsError(
            f"MOAT_EMBEDDER_HOST={host} is reachable from outside: set MOAT_EMBEDDER_KEY, or listen on 127.0.0.1"
        )
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    return Address(url, url, None, key or _key_of_user())


def _plain(socket: str | None) -> httpx.HTTPTransport:
    """A transport that speaks no TLS, so it need not read this machine's certificates, which takes longer than asking."""
    return httpx.HTTPTransport(uds=socket, verify=False, trust_env=False)


def _socket_path(home: Path) -> Path:
    """The socket in the state folder, or in a short private folder where its path is too long for one."""
    path = home.absolute() / "embedder.sock"
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:16]
    return _user_folder() / f"embedder-{digest}.sock"


def _user_folder() -> Path:
    """A folder of this user alone, outside any state folder. Raises SettingsError if another user made it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and len(os.fsencode(runtime)) < LONGEST_PATH - 45:
        folder = Path(runtime, "moat")
    else:
        folder = Path("/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir(), f"moat-{os.geteuid()}")  # noqa: S108
    private_folder(folder)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise SettingsError(f"{folder} is another user's: remove it, or set XDG_RUNTIME_DIR to a folder of your own")
    return folder


def _key_of_user() -> str:
    """The key of this user's embedders on loopback, made once."""
    file = _user_folder() / "embedder.key"
    for _ in range(2):
        try:
            return file.read_text()
        except FileNotFoundError:
            draft = file.with_suffix(f".{secrets.token_hex(8)}")
            draft.touch(0o600)
            draft.write_text(secrets.token_urlsafe(32))
            try:
                os.link(draft, file)  # the first of several wins, and is never seen half written
            except FileExistsError:
                pass
            finally:
                draft.unlink()
    raise SettingsError(f"{file} cannot be kept: set MOAT_EMBEDDER_KEY")


def _check_owner(path: Path) -> None:
    try:
        found, folder = path.lstat(), path.parent.stat()
    except FileNotFoundError:
        return  # connecting says so
    except PermissionError:
        raise EmbedderUnavailable(f"{path} is another user's: set MOAT_HOME to a folder of your own") from None
    ours = {os.geteuid(), 0}
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbedderUnavailable(
            f"{path} is not this user's socket, so nothing is sent to it: remove it, and see who put it there"
        )
    if folder.st_uid not in ours or folder.st_mode & 0o022:
        raise EmbedderUnavailable(
            f"{path.parent} can be written by others, who could take the embedder's place: chmod 700 {path.parent}"
        )
