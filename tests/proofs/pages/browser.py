"""A real Chromium, driven by its own protocol: opens pages, waits for words, clicks buttons, takes pictures."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WAIT_S = 120.0
BUTTON = """(name) => [...document.querySelectorAll('button')].filter((b) => b.innerText.trim() === name && !b.disabled).at(-1)"""


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._n = socket, 0
        self.errors: list[str] = []  # of scripts and of the console
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._n += 1
        self._socket.send(json.dumps({"id": self._n, "method": method, "params": params}))
        while True:
            said = json.loads(self._socket.recv(timeout=WAIT_S))
            if said.get("id") == self._n:
                assert "error" not in said, said
                return said["result"]
            self._note(said)

    def _note(self, said: dict[str, Any]) -> None:
        params = said.get("params", {})
        if said.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"])[:1_000])
        if said.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        if said.get("method") == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(json.dumps(params["args"])[:1_000])

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to."""
        found = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def look(self, scheme: str) -> None:
        """Prefer light or dark from the next page on."""
        self.send("Page.addScriptToEvaluateOnNewDocument", source=f"localStorage.setItem('theme', '{scheme}')")
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url: str, words: str) -> str:
        """Open an address, and wait until the page has these words; returns all its words."""
        self.send("Page.navigate", url=url)
        return self.wait(words)

    def wait(self, words: str) -> str:
        until = time.monotonic() + WAIT_S
        shown = ""
        while time.monotonic() < until:
            shown = self.value("document.body ? document.body.innerText : ''") or ""
            if words in shown:
                return shown
            time.sleep(0.2)
        raise AssertionError(f"{words!r} is not on the page after {WAIT_S:g} s: {shown[:2_000]}; errors: {self.errors}")

    def has_button(self, name: str) -> bool:
        return bool(self.value(f"!!({BUTTON})({json.dumps(name)})"))

    def click(self, name: str) -> None:
        """Click the newest enabled button of this name, once it is there."""
        until = time.monotonic() + WAIT_S
        while not self.has_button(name):
            assert time.monotonic() < until, f"no button {name!r}: {self.value('document.body.innerText')[:2_000]}"
            time.sleep(0.2)
        self.value(f"({BUTTON})({json.dumps(name)}).click()")

    def type(self, text: str) -> None:
        """Type into the newest text field as a keyboard does."""
        self.value("[...document.querySelectorAll('textarea')].filter((e) => e.offsetParent).at(-1).focus()")
        self.send("Input.insertText", text=text)

    def picture(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browser() -> Iterator[str]:
    """A Chromium of its own; the address that it is driven by. Skips where there is none."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"none of {', '.join(PROGRAMS)} is installed: the pages are not looked at in a browser")
    with tempfile.TemporaryDirectory(prefix="moat-browser-", ignore_cleanup_errors=True) as home:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        quiet = [
            "--headless=new",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
        ]
        where = [f"--user-data-dir={home}", "--remote-debugging-port=0", "--window-size=1400,900", "about:blank"]
        process = subprocess.Popen(
            [program, *root, *quiet, *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            told, until = Path(home, "DevToolsActivePort"), time.monotonic() + WAIT_S
            while not (told.is_file() and told.read_text().count("\n")):
                assert process.poll() is None, f"{program} has ended with {process.returncode}"
                assert time.monotonic() < until, f"{program} does not start"
                time.sleep(0.2)
            yield f"http://127.0.0.1:{told.read_text().splitlines()[0]}"
        finally:
            os.killpg(process.pid, 15)
            process.wait(60)


@contextmanager
def tab(driven_by: str, airflow: str, token: str) -> Iterator[Page]:
    """A tab that is logged in to Airflow."""
    made = httpx.put(f"{driven_by}/json/new?about:blank", trust_env=False, timeout=WAIT_S).json()
    with connect(made["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
        page = Page(socket)
        page.send("Network.clearBrowserCookies")
        page.send("Network.setCookie", name="_token", value=token, url=airflow, httpOnly=True)
        yield page
    httpx.get(f"{driven_by}/json/close/{made['id']}", trust_env=False, timeout=WAIT_S)
