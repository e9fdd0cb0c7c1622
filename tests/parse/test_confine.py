"""A document that takes over its parser reaches nothing: it is run here as Python code, inside the real walls."""

import contextlib
import os
import platform
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moat.errors import DocumentError, ParseCrashed, ParseFailed, ParseTimedOut, PrepareFailed, RiskFound
from moat.parse import seccomp
from moat.parse.sandbox import Sandbox
from moat.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
PROGRAM = """
import sys
from moat.parse import confine, landlock, seccomp
from moat.parse.child import Limits, serve

def run(request, content):
    names = {"given": request["given"], "said": ""}
    exec(content.decode(), names)
    return names["said"]

BEFORE
serve({"run": run}, lambda: None, Limits(memory_mb=256, timeout_s=float(sys.argv[2])))
"""
NO_WALLS = "confine._namespaces = landlock.confine = seccomp.confine = lambda *_: False"
Run = Callable[..., str]


class Hostile:
    """A sandbox whose documents are Python code; `said` is what they answer."""

    def __init__(self, folder: Path, timeout_s: float, before: str) -> None:
        self.name = f"hostile_{uuid.uuid4().hex}"
        (folder / "code").mkdir(exist_ok=True)
        (folder / "code" / f"{self.name}.py").write_text(PROGRAM.replace("BEFORE", before))
        settings = Settings.model_validate({"home": folder / "home", "parse_timeout_s": timeout_s})
        self.sandbox = Sandbox(settings)
        self.sandbox.program = self.name

    def run(self, code: str, given: object = "") -> str:
        said = self.sandbox.work("run", {"given": given}, code.encode(), str)
        assert said is not None
        return said

    def alive(self) -> list[int]:
        """Processes that still run its program, or something it started, by their command line."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and self.name.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def ends(self) -> bool:
        for _ in range(300):
            if not self.alive():
                return True
            time.sleep(0.1)
        return False


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Hostile]]:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    made = list[Hostile]()

    def make(timeout_s: float = 60.0, before: str = "") -> Hostile:
        made.append(Hostile(tmp_path, timeout_s, before))
        return made[-1]

    yield make
    for one in made:
        one.sandbox.__exit__(None, None, None)


def needs(one: Hostile, wall: str) -> None:
    if wall not in one.sandbox.protections():
        pytest.skip(f"this kernel has no {wall}")


CONNECT = """
import ctypes, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def told(work):
    try:
        return work()
    except OSError as error:
        return f"refused {error.errno}"
def library():
    socket.create_connection(("127.0.0.1", given), timeout=5)
    return "connected"
def raw():
    opened = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    address = struct.pack("=H", socket.AF_INET) + struct.pack(">H", given) + socket.inet_aton("127.0.0.1") + bytes(8)
    return "connected" if opened >= 0 and libc.connect(opened, address, len(address)) == 0 else "refused"
said = told(library) + ", " + told(raw)
"""


ONLY_NAMESPACES = "seccomp.confine = landlock.confine = lambda *_: False"
ONLY_SECCOMP = "confine._namespaces = landlock.confine = lambda *_: False"


@pytest.mark.parametrize("before", ["", ONLY_NAMESPACES, ONLY_SECCOMP])
def test_it_opens_no_connection_not_even_by_system_calls(hostile: Callable[..., Hostile], before: str) -> None:
    one = hostile(before=before)
    if before == ONLY_NAMESPACES:
        needs(one, "no network")
    elif platform.machine() not in seccomp.CALLS:
        pytest.skip("the filter has no numbers of this machine's system calls")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        said = one.run(CONNECT, server.getsockname()[1])
        with pytest.raises(TimeoutError):
            server.accept()
    assert "connected" not in said
    assert said.count("refused") == 2


def test_it_sees_no_secret_of_the_environment(hostile: Callable[..., Hostile], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "MOAT_WEAVIATE_WRITER_KEY",
        "AIRFLOW_CONN_WAREHOUSE",
        "DATABASE_URL",
        "COMPANY_TOKEN",
        "SSH_AUTH_SOCK",
    ):
        monkeypatch.setenv(name, "hush")
    one = hostile()
    said = one.run("import os; said = repr(dict(os.environ))")
    assert "hush" not in said
    assert "PATH" in said
    needs(one, "Landlock")
    peek = "try:\n    said = open(f'/proc/{given}/environ').read()\nexcept OSError as error:\n    said = type(error).__name__"
    assert one.run(peek, os.getpid()) == "PermissionError"


def test_it_reads_no_file_but_programs_and_libraries(hostile: Callable[..., Hostile], tmp_path: Path) -> None:
    one = hostile()
    needs(one, "Landlock")
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "env").write_text("MOAT_WEAVIATE_WRITER_KEY=hush")
    read = "try:\n    said = open(given).read()\nexcept OSError as error:\n    said = type(error).__name__"
    write = "try:\n    open(given, 'w')\nexcept OSError as error:\n    said = type(error).__name__"
    assert one.run(read, str(tmp_path / "home" / "env")) == "PermissionError"
    assert one.run(write, str(tmp_path / "code" / "mine")) == "PermissionError"
    assert one.run("import os\nopen(os.environ['TMPDIR'] + '/mine', 'w').write('x')\nsaid = 'written'") == "written"


def test_it_raises_no_limit(hostile: Callable[..., Hostile]) -> None:
    said = hostile().run("""
import resource
for name in ("CORE", "FSIZE", "NOFILE", "CPU", "DATA"):
    limit = getattr(resource, "RLIMIT_" + name)
    soft, hard = resource.getrlimit(limit)
    assert hard != resource.RLIM_INFINITY, name
    for wanted in ((hard + 1, hard + 1), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)):
        try:
            resource.setrlimit(limit, wanted)
        except (ValueError, OSError):
            continue
        said += name + " raised, "
""")
    assert said == ""


def test_it_gains_no_rights(hostile: Callable[..., Hostile]) -> None:
    lines = dict(
        line.split(":\t")
        for line in hostile().run("said = open('/proc/self/status').read()").splitlines()
        if ":\t" in line
    )
    assert (lines["NoNewPrivs"], int(lines["CapEff"], 16), int(lines["CapPrm"], 16)) == ("1", 0, 0)


ESCAPE = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(300)", given])
    os._exit(0)
time.sleep(AFTER)
said = "left"
"""


@pytest.mark.parametrize("before", ["", NO_WALLS])
def test_what_left_its_process_group_dies_with_it(hostile: Callable[..., Hostile], before: str) -> None:
    one = hostile(timeout_s=8, before=before)
    one.sandbox.warm()
    with pytest.raises(ParseTimedOut):
        one.run(ESCAPE.replace("AFTER", "300"), one.name)
    assert one.ends()


def test_what_a_document_leaves_behind_ends_before_the_next(hostile: Callable[..., Hostile]) -> None:
    one = hostile()
    needs(one, "killed whole")
    before = len(one.alive())
    assert one.run(ESCAPE.replace("AFTER", "1"), one.name) == "left"
    assert one.run("said = 'next'") == "next"
    assert len(one.alive()) == before


def test_a_fork_bomb_is_bounded_and_dies(hostile: Callable[..., Hostile]) -> None:
    one = hostile(timeout_s=6)
    needs(one, "killed whole")
    with pytest.raises(ParseFailed):
        one.run("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass")
    assert one.ends()
    assert one.run("said = 'next'") == "next"


@pytest.mark.parametrize("said", ["'half a pair \\ud800'", "['a', 'list']", "1 << 70"])
def test_an_answer_that_is_no_record_fails_its_document_only(hostile: Callable[..., Hostile], said: str) -> None:
    one = hostile()
    with pytest.raises(ParseFailed):
        one.run(f"said = {said}")
    assert one.run("said = 'next'") == "next"


def test_errors_keep_their_class_and_an_unexpected_one_brings_its_trace(hostile: Callable[..., Hostile]) -> None:
    one = hostile()
    with pytest.raises(RiskFound, match="it holds"):
        one.run("from moat.errors import RiskFound\nraise RiskFound('it holds a key')")
    with pytest.raises(PrepareFailed, match=r"builtins\.ZeroDivisionError: division by zero") as unexpected:
        one.run("1 / 0")
    assert "Traceback" in "".join(unexpected.value.__notes__)
    with pytest.raises(DocumentError, match="nested too deep"):
        one.run("def deeper(): deeper()\ndeeper()")


def test_a_child_that_held_much_memory_is_replaced(hostile: Callable[..., Hostile]) -> None:
    one = hostile()
    first = one.run("import os\nsaid = str(os.stat('/proc/self').st_ino)")
    with pytest.raises(ParseFailed, match="more memory"):
        one.run("held = bytearray(1 << 30)")
    assert one.run("import os\nsaid = str(os.stat('/proc/self').st_ino)") != first


def test_a_child_that_does_not_answer_is_a_crash(hostile: Callable[..., Hostile]) -> None:
    with pytest.raises(ParseCrashed, match="signal SIGSEGV"):
        hostile().run("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV) or __import__('ctypes').string_at(0)")
