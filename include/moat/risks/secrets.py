"""Secrets in a text: chosen plugins of detect-secrets, further forms, and what words tell (`passwords`).

A kind is here if its form proves it: a prefix of the issuer's own, a signature, a PEM header. Plugins that use
entropy alone are left out, because in running text they find article numbers, hashes and pictures.
"""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from moat.risks import passwords
from moat.risks.found import Find, apart

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

# Forms of keys by their issuers' own pages, where detect-secrets has no plugin or an old one.
FORMS = {
    "ANTHROPIC_KEY": r"sk-ant-(?:api|admin)\d\d-[A-Za-z0-9_-]{80,110}",
    "AZURE_KEY": r"(?<=SharedAccessKey=)[A-Za-z0-9+/]{43}=|(?<=[?&]sig=)[A-Za-z0-9%+/]{40,80}(?=&|\s|$)"
    r"|[A-Za-z0-9_.~-]{3}\dQ~[A-Za-z0-9_.~-]{31,34}",
    "DATABRICKS_TOKEN": r"dapi[0-9a-f]{32}(?:-\d)?",
    "DIGITALOCEAN_TOKEN": r"do[opr]_v1_[0-9a-f]{64}",
    "GITHUB_TOKEN": r"github_pat_[A-Za-z0-9_]{82}",
    "GITLAB_TOKEN": r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_-]{20,50}",
    "GOOGLE_KEY": r"AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}",
    "HUGGINGFACE_TOKEN": r"hf_[A-Za-z]{34}",
    "NPM_TOKEN": r"npm_[A-Za-z0-9]{36}",
    "PASSWORD_HASH": r"(?:\$(?:apr1|1|5|6)\$(?:rounds=\d+\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{22,86}"
    r"|\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2id?\$v=\d+\$[\w=,]{5,40}\$[A-Za-z0-9+/]{8,90}\$[A-Za-z0-9+/]{20,130}"
    r"|\{S?SHA\}[A-Za-z0-9+/]{27,60}={0,2})",
    "OPENAI_KEY": r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,200}",
    "SHOPIFY_TOKEN": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "SLACK_TOKEN": r"xox[abeoprs]-[A-Za-z0-9-]{20,200}|xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{40,80}",
    "STRIPE_KEY": r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{24,247}|whsec_[A-Za-z0-9]{32,}",
    "TWILIO_KEY": r"SK[0-9a-f]{32}",
}
OTHER_FORMS = re.compile(
    "|".join(f"(?P<{kind}>(?<![A-Za-z0-9])(?:{form})(?![A-Za-z0-9]))" for kind, form in FORMS.items())
)
PLUGINS = {
    ("aws", "AWSKeyDetector"): "AWS_KEY",
    ("azure_storage_key", "AzureStorageKeyDetector"): "AZURE_KEY",
    ("basic_auth", "BasicAuthDetector"): "URL_WITH_PASSWORD",
    ("discord", "DiscordBotTokenDetector"): "DISCORD_TOKEN",
    ("github_token", "GitHubTokenDetector"): "GITHUB_TOKEN",
    ("jwt", "JwtTokenDetector"): "JSON_WEB_TOKEN",
    ("mailchimp", "MailchimpDetector"): "MAILCHIMP_KEY",
    ("openai", "OpenAIDetector"): "OPENAI_KEY",
    ("pypi_token", "PypiTokenDetector"): "PYPI_TOKEN",
    ("sendgrid", "SendGridDetector"): "SENDGRID_KEY",
    ("slack", "SlackDetector"): "SLACK_TOKEN",
    ("square_oauth", "SquareOAuthDetector"): "SQUARE_TOKEN",
    ("telegram_token", "TelegramBotTokenDetector"): "TELEGRAM_TOKEN",
}
# The plugins skip a line without any of these, because each of their forms has one.
HINT = re.compile(
    r"A3T|ABIA|ACCA|AKIA|ASIA|(?i:aws)|AccountKey=|://|gh[pousr]_|eyJ|-us\d|T3BlbkFJ|pypi-|SG\.|(?i:xox)|sq0csp-"
    r"|\d{8}:[\w-]|[MNO][\w-]{23,25}\."
)
# detect-secrets leaves out a password with signs that an address should escape, and people do not.
ADDRESS = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,20}://(?P<user>[^\s:/@]{1,60}):(?P<value>[^\s:/@]{4,80})@[\w-]"
)
LONGEST_LINE = 4_000  # characters that a plugin gets at once; longer lines come in overlapping parts
OVERLAP = 400
KEY_BEGINS = re.compile(r"-{2,5} ?BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)? ?-{2,5}|PuTTY-User-Key-File-\d")
KEY_ENDS = re.compile(r"-{2,5} ?END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)? ?-{2,5}|Private-MAC: ?\S+")
KEY_LINE = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9+/]+={1,2}|[\s|>*-]+")  # or a header, "Proc-Type: 4"
KEY_HEADER = re.compile(r"\s*[A-Z][A-Za-z-]+: ?[\w,.-]+\s*")
LINE_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # as str.splitlines has it
PART = re.compile(r"\S+")
WHOLE = {"GITHUB_TOKEN": r"_\w{36}", "JSON_WEB_TOKEN": r"[\w.-]*"}


def find(text: str) -> list[Find]:
    """Find every secret in a text, as place and kind."""
    return apart([*_keys(text), *_forms(text), *_addresses(text), *_plugged(text), *passwords.find(text)])


def inside_key(text: str, open_before: bool) -> tuple[int, bool]:
    """Return where a private key begun before this text ends, and whether it continues."""
    if not open_before:
        return 0, False
    ends = KEY_ENDS.search(text)
    return (ends.end(), False) if ends else _like_a_key(text, 0, _breaks(text))


def opens_key(text: str) -> bool:
    """Whether a text ends inside of a private key."""
    last = deque(KEY_BEGINS.finditer(text), maxlen=1)
    return bool(last) and inside_key(text[last[0].end() :], True)[1]


def _like_a_key(text: str, at: int, breaks: Sequence[int]) -> tuple[int, bool]:
    """Return where the lines from a place on are no more like those of a key, and whether all are."""
    while at < len(text):
        following = bisect_right(breaks, at)
        end = breaks[following] if following < len(breaks) else len(text)
        header = KEY_HEADER.fullmatch(text, at, end)
        if not header and not all(KEY_LINE.fullmatch(part[0]) for part in PART.finditer(text, at, end)):
            return at, False
        at = end
    return at, True


def _breaks(text: str) -> list[int]:
    return [match.end() for match in LINE_BREAK.finditer(text)]


def kinds() -> list[str]:
    """Every kind that can be found."""
    return sorted({*FORMS, *PLUGINS.values(), "PRIVATE_KEY", "PASSWORD", "PIN", "AUTHORIZATION"})


def _keys(text: str) -> Iterator[Find]:
    """Find private keys, up to their end or the last line like one; each place is looked at once."""
    if not KEY_BEGINS.search(text):
        return
    ends = [match.end() for match in KEY_ENDS.finditer(text)]
    breaks, after = _breaks(text), 0
    for begins in KEY_BEGINS.finditer(text):
        if begins.start() < after:
            continue  # inside the key before
        next_end = bisect_right(ends, begins.end())
        after = ends[next_end] if next_end < len(ends) else _like_a_key(text, begins.end(), breaks)[0]
        yield Find(begins.start(), after, "PRIVATE_KEY", 2.0)


def _forms(text: str) -> Iterator[Find]:
    for match in OTHER_FORMS.finditer(text):
        yield Find(match.start(), match.end(), str(match.lastgroup))


def _addresses(text: str) -> Iterator[Find]:
    for match in ADDRESS.finditer(text):
        if match["value"] != match["user"] and not passwords.stands_for_one(match["value"]):
            yield Find(*match.span("value"), "URL_WITH_PASSWORD")


def _plugged(text: str) -> Iterator[Find]:
    for start, line in _lines(text):
        if not HINT.search(line):
            continue
        for plugin, kind in plugins():
            for value in set(plugin.analyze_string(line)):
                if kind == "URL_WITH_PASSWORD" and passwords.stands_for_one(value):
                    continue
                if kind in WHOLE:  # the plugin returns only a part of it
                    value = next((m[0] for m in re.finditer(re.escape(value) + WHOLE[kind], line)), "")
                for at in _places(line, value):
                    before, after = line[:at], line[at + len(value) :]
                    if kind == "URL_WITH_PASSWORD" and (
                        not (before.endswith(":") and after.startswith("@")) or before.endswith(f"//{value}:")
                    ):
                        continue  # equal user and password: a default of the software
                    yield Find(start + at, start + at + len(value), kind)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their places, long ones in overlapping parts."""
    at = 0
    for line in text.splitlines(keepends=True):
        for part in range(0, max(1, len(line) - OVERLAP), LONGEST_LINE - OVERLAP):
            yield at + part, line[part : part + LONGEST_LINE]
        at += len(line)


def _places(line: str, value: str) -> Iterator[int]:
    """Find where a value stands by itself, not inside a longer word."""
    at = line.find(value) if value else -1
    while at >= 0:
        around = line[max(0, at - 1) : at] + line[at + len(value) : at + len(value) + 1]
        if not any(c.isalnum() for c in around):
            yield at
        at = line.find(value, at + 1)


@cache
def plugins() -> "tuple[tuple[BasePlugin, str], ...]":
    """The chosen plugins with the kind that each finds, imported at the first hint."""
    import importlib

    found = []
    for (module, name), kind in PLUGINS.items():
        found.append((getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)(), kind))
    return tuple(found)
