"""Notification channels: mail, chat webhook and generic webhook, by connection.

A channel accepts a whole message once, or raises. It must not reveal more than the message: a
server's answer can contain the called address, and with it a key, so it is never repeated.
"""

import hashlib
import hmac
import json
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import urlsplit

import httpx

from moat.connections import Connection, Connections
from moat.errors import SettingsError, TellingFailed

TIMEOUT_S = 10.0
TRIES = 3
PAUSE_S = 0.4  # before the second try; doubled before the third
LONGEST_TEXT = 2_900  # characters: a block of the Slack form holds 3,000
SLACK = "https://hooks.slack.com/services"
SIGNATURE, STAMP = "X-Moat-Signature", "X-Moat-Timestamp"


@dataclass(frozen=True, slots=True)
class Message:
    """A notification: subject line, text, and the same as fields for a machine."""

    subject: str
    text: str
    fields: Mapping[str, object]


def send(connections: Connections, channel: str, to: Sequence[str], message: Message) -> None:
    """Send a message through one channel, written as in MOAT_TELL. Raises TellingFailed, SettingsError."""
    kind, _, conn_id = channel.partition(":")
    connection = connections.get(conn_id)
    if kind == "smtp":
        _mail(connection, to, message)
    elif kind == "slack":
        _post(_slack_url(connection), _slack(message).encode(), {}, conn_id)
    elif kind == "webhook":
        body = json.dumps(message.fields, ensure_ascii=False, sort_keys=True).encode()
        _post(_url(connection), body, _signed(connection, body), conn_id)
    else:
        raise SettingsError(f"{channel!r} is no channel: write smtp:CONNECTION, slack:CONNECTION or webhook:CONNECTION")


def signature(key: str, stamp: str, body: bytes) -> str:
    """Value of X-Moat-Signature: HMAC-SHA256 over the timestamp, a dot and the body."""
    return "sha256=" + hmac.new(key.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def _mail(connection: Connection, to: Sequence[str], message: Message) -> None:
    """Send through an `smtp` connection, with Airflow's extras: from_email, disable_ssl, disable_tls."""
    if not to:
        raise SettingsError(f"connection {connection.conn_id!r}: mail needs somebody to write to: set MOAT_TELL_TO")
    sender = str(connection.extra.get("from_email") or connection.login)
    if "@" not in sender:
        raise SettingsError(f"connection {connection.conn_id!r} has no extra from_email: who writes?")
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, sender, ", ".join(to)
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"  # suppresses out-of-office replies
    mail.set_content(message.text)

    def attempt() -> bool:
        try:
            with _server(connection) as server:
                server.send_message(mail, sender, list(to))
        except smtplib.SMTPResponseException as error:
            if not 400 <= error.smtp_code < 500:
                raise TellingFailed(
                    f"connection {connection.conn_id}: the mail server refuses the message: {error.smtp_code}"
                ) from None
            return False
        except smtplib.SMTPRecipientsRefused as error:
            raise TellingFailed(
                f"connection {connection.conn_id}: the mail server takes none of the {len(error.recipients)} addresses"
            ) from None
        except (smtplib.SMTPException, OSError):
            return False
        return True

    _tried(attempt, connection.conn_id, "the mail server")


def _server(connection: Connection) -> smtplib.SMTP:
    """A connected SMTP client, logged in. TLS or STARTTLS, unless the connection disables both."""
    secure, upgraded = not _on(connection, "disable_ssl"), not _on(connection, "disable_tls")
    context = ssl.create_default_context()
    host, port = connection.host, connection.port or (465 if secure else 587 if upgraded else 25)
    if secure:
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        if upgraded:
            server.starttls(context=context)
    if connection.login and connection.password:
        server.login(connection.login, connection.password)
    return server


def _on(connection: Connection, name: str) -> bool:
    """A boolean extra, given as a boolean or as text."""
    return str(connection.extra.get(name, "")).strip().lower() in ("1", "true", "yes", "on")


def _slack(message: Message) -> str:
    """The payload format of Slack, Mattermost, Rocket.Chat and many bridges."""
    text = message.text if len(message.text) <= LONGEST_TEXT else f"{message.text[:LONGEST_TEXT]}…"
    # In this format &, < and > are markup: links, or mentions of the whole channel.
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": message.subject[:150], "emoji": False}},
        {"type": "section", "text": {"type": "mrkdwn", "text": plain}},
    ]
    return json.dumps({"text": message.subject, "blocks": blocks}, ensure_ascii=False)


def _slack_url(connection: Connection) -> str:
    """URL of a `slackwebhook` connection; its password is the secret part or all of it."""
    if "://" in connection.password:
        return connection.password
    base = _url(connection) if connection.host else SLACK
    return f"{base.rstrip('/')}/{connection.password.lstrip('/')}" if connection.password else base


def _url(connection: Connection) -> str:
    """URL of an `http` connection, with its extra `path` appended."""
    host = connection.host or ""
    whole = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    if connection.port and urlsplit(whole).port is None:
        parts = urlsplit(whole)
        whole = parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
    path = str(connection.extra.get("path") or "")
    if not host:
        raise SettingsError(f"connection {connection.conn_id!r} has no host: where does the webhook listen?")
    return f"{whole.rstrip('/')}/{path.lstrip('/')}" if path else whole


def _signed(connection: Connection, body: bytes) -> dict[str, str]:
    """Headers by which the receiver can verify origin and age."""
    if not connection.password:
        return {}
    stamp = str(int(time.time()))
    return {STAMP: stamp, SIGNATURE: signature(connection.password, stamp, body)}


def _post(url: str, body: bytes, headers: Mapping[str, str], conn_id: str) -> None:
    def attempt() -> bool:
        try:
            answer = httpx.post(
                url, content=body, headers={"content-type": "application/json", **headers}, timeout=TIMEOUT_S
            )
        except httpx.InvalidURL:
            raise SettingsError(f"connection {conn_id!r} gives no address that can be called") from None
        except httpx.HTTPError:
            return False
        if answer.status_code == 429 or answer.status_code >= 500:
            return False
        if not answer.is_success:
            raise TellingFailed(f"connection {conn_id}: the webhook refuses the message: {answer.status_code}")
        return True

    _tried(attempt, conn_id, "the webhook")


def _tried(attempt: Callable[[], bool], conn_id: str, what: str) -> None:
    """Try a few times within seconds, because a task is waiting."""
    for n in range(TRIES):
        if n:
            time.sleep(PAUSE_S * 2 ** (n - 1))
        if attempt():
            return
    raise TellingFailed(
        f"connection {conn_id}: {what} did not take the message in {TRIES} tries ({socket.gethostname()})"
    )
