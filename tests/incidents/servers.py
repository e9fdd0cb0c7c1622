"""A mail server and a webhook that listen on a port of this machine, and keep what they are given."""

import base64
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Mailbox:
    """What came by SMTP. `answers` says how the next MAIL FROM are taken; afterwards everything is."""

    port: int = 0
    login: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, ...]] = field(default_factory=list)  # sender, then recipients
    logins: list[tuple[str, str]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    n_calls: int = 0


@dataclass(frozen=True)
class Call:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """What came by HTTP. `answers` are the statuses of the next calls; afterwards 200."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox()

    class Session(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            box.n_calls += 1
            envelope: list[str] = []
            self.say("220 here")
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                word = line.partition(" ")[0].upper()
                if word == "EHLO":
                    self.wfile.write(b"250-here\r\n250-AUTH PLAIN\r\n250 SMTPUTF8\r\n")
                elif word == "AUTH":
                    _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    box.logins.append((user, password))
                    self.say("235 welcome")
                elif word == "MAIL":
                    answer = box.answers.pop(0) if box.answers else "250 go on"
                    envelope = [line]
                    self.say(answer)
                elif word == "RCPT":
                    envelope.append(line)
                    self.say("250 go on")
                elif word == "DATA":
                    self.say("354 write")
                    lines = list[str]()
                    while (part := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                        lines.append(part.removeprefix(".") if part.startswith("..") else part)
                    box.envelopes.append(tuple(one.partition("<")[2].partition(">")[0] for one in envelope))
                    mail = message_from_string("\n".join(lines), policy=policy.default)
                    assert isinstance(mail, EmailMessage)
                    box.mails.append(mail)
                    self.say("250 kept")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        box.port = server.server_address[1]
        with _serving(server):
            yield box


@contextmanager
def web_server() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            hook.calls.append(Call(self.path, {n.lower(): v for n, v in self.headers.items()}, body))
            self.send_response(hook.answers.pop(0) if hook.answers else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_address[1]
    with _serving(server):
        yield hook


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def text_of(mail: EmailMessage) -> str:
    part: Sequence[str] | str = mail.get_content()
    return str(part)
