"""Separate what the HTML parts of a mail hide, before the mail is parsed."""

from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage

from moat.parse.hidden_html import TRIGGER, shown_and_hidden
from moat.records import Block


def mail_shown_and_hidden(content: bytes) -> tuple[bytes, list[Block]]:
    """Split a mail into what it shows and blocks of hidden text."""
    if b"html" not in content.lower():
        return content, []
    blocks = list[Block]()
    try:
        message = message_from_bytes(content, policy=policy.default)
        for part in message.walk():
            if part.get_content_type() != "text/html" or not isinstance(part, EmailMessage):
                continue
            markup = part.get_content()
            shown, found = shown_and_hidden(markup) if TRIGGER.search(markup) else (markup, [])
            if found:
                blocks += found
                part.set_content(shown, subtype="html", cte="base64")
        return (message.as_bytes(), blocks) if blocks else (content, [])
    except (MessageError, LookupError, ValueError, AttributeError, TypeError, KeyError):
        return content, []  # unstructured parses it unchanged, or reports the error
