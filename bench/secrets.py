"""How often a credential is found in words where none stands, and how many of invented ones are found.

    .venv/bin/python -m bench.secrets [--data FOLDER] [--show]

Texts that people wrote in earnest: the folder of test data, the pages of this project, descriptions of the packages that
are installed, and messages of this machine's programs in 17 languages, which speak of passwords all the time. Every hit
was looked at by hand; what was seen is in `LOOKED` by a digest of the hit, and a new hit is told as not looked at.
`--show` prints the hits for whoever looks; else no found text is printed. Invented sentences stand in
`tests/risks/said.py`: of each list every second one was set aside until the rules were made.
"""

import argparse
import csv
import gettext
import importlib.metadata
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

from bench.results import put, ran_on
from bench.risks import SHARED
from moat.risks import passwords, secrets
from moat.settings import PROJECT
from tests.risks.said import NONE, SAID, Said

TITLE = "secrets told in words: false alarms and recall"
KINDS = {"PASSWORD", "PIN", "AUTHORIZATION", "PASSWORD_HASH"}
LANGUAGES = ("de", "fr", "es", "it", "nl", "pt", "pt_BR", "pl", "sv", "da", "fi", "cs", "tr", "ru", "ja", "zh_CN", "nb")
FIRST_LOOK = "42 of 44, and then columns of tables were mended"
EXAMPLES = {"Sommer2026", "Harbour-77!", "Nordsee#9", "admin123"}  # of docs/risks.md
LOOKED = {
    "44b5e9b7e9f2": "true",  # a generated key in a question
    "de20551b628a": "true",  # the passcode of a conference call
    "f57da7bfdb21": "true",  # an example's password
    "0ea74fb79afd": "true",  # tokens of badges, which their owners publish
    "b14d26828df4": "true",
    "7122a7ace08a": "true",
}


def main(data: Path, show: bool) -> None:
    lines = [
        "A hit is `true` where a person who looks sees a credential, an example in a manual among them; `false` where not.",
        "",
        "| text | documents | hits: true / false / not looked at | documents with a hit that is not true, of 1,000 |",
        "| --- | ---: | ---: | ---: |",
    ]
    n_all = wrong_all = n_characters = 0
    seconds = 0.0
    for name, texts in {**SHARED, **OTHERS}.items():
        n, wrong, seen = 0, 0, Counter[str]()
        for key, text in texts(data):
            started = time.monotonic()
            list(passwords.find(text))
            seconds += time.monotonic() - started
            n, n_characters = n + 1, n_characters + len(text)
            looked = [_looked(text[f.start : f.end]) for f in secrets.find(text) if f.kind in KINDS]
            seen.update(looked)
            wrong += any(what != "true" for what in looked)
            if show:
                for f in secrets.find(text):
                    if f.kind in KINDS:
                        value, before = text[f.start : f.end], text[max(0, f.start - 60) : f.start]
                        print(f"{_digest(value)} {_looked(value)} {f.kind} {key}: {before!r} {value!r}")
        if n:
            told = " / ".join(str(seen[what]) for what in ("true", "false", "not looked at"))
            lines.append(f"| {name} | {n:,} | {told} | {1000 * wrong / n:.2f} |")
            n_all, wrong_all = n_all + n, wrong_all + wrong
    lines += [
        f"| all | {n_all:,} | | {1000 * wrong_all / max(1, n_all):.2f} |",
        "",
        f"Of {len(SAID)} invented sentences in {len({one.language for one in SAID})} languages, "
        f"{_recall(SAID[0::2])} of those that the rules were made with were found, and {_recall(SAID[1::2])} of those that "
        f"were set aside until then (when they were first looked at: {FIRST_LOOK}). Of sentences that speak of a credential and hold none, "
        f"{_alarms(NONE[0::2])} and {_alarms(NONE[1::2])} gave a hit.",
        "",
        f"Looking for what words tell costs {1000 * seconds / (n_characters / 1024):.2f} ms per KB of text.",
        "",
        ran_on("detect-secrets"),
    ]
    print("\n".join(lines))
    put(TITLE, "\n".join(lines))


def _digest(value: str) -> str:
    return blake2b(value.encode(), digest_size=6).hexdigest()


def _looked(value: str) -> str:
    if value in EXAMPLES:
        return "true"
    return LOOKED.get(_digest(value), "not looked at")


def _recall(said: Iterable[Said]) -> str:
    found = [one.secret in _found(one.text) or one.secret.rstrip("!") in _found(one.text) for one in said]
    return f"{sum(found)} of {len(found)}"


def _found(text: str) -> set[str]:
    return {text[f.start : f.end] for f in secrets.find(text)}


def _alarms(texts: Iterable[str]) -> str:
    found = [bool(secrets.find(text)) for text in texts]
    return f"{sum(found)} of {len(found)}"


def pages(_: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((PROJECT / "docs").rglob("*.md")):
        yield file.name, file.read_text("utf-8")


def rows(data: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((data / "warehouse").rglob("*.csv")):
        for number, row in enumerate(csv.DictReader(file.open(encoding="utf-8", errors="replace"))):
            yield f"{file.name} {number}", "\n\n".join(f"{name}: {value}" for name, value in row.items())


def formats(data: Path) -> Iterator[tuple[str, str]]:
    if (file := data / "formats" / "expected.jsonl").exists():
        for row in map(json.loads, file.open(encoding="utf-8")):
            yield row["file"], row["text"]


def descriptions(_: Path) -> Iterator[tuple[str, str]]:
    for package in sorted(importlib.metadata.distributions(), key=lambda one: str(one.metadata["Name"])):
        yield str(package.metadata["Name"]), package.read_text("METADATA") or ""


def messages(_: Path) -> Iterator[tuple[str, str]]:
    for language in LANGUAGES:
        for file in sorted(Path(f"/usr/share/locale/{language}/LC_MESSAGES").glob("*.mo")):
            try:
                with file.open("rb") as opened:
                    said: dict[object, object] = vars(gettext.GNUTranslations(opened))["_catalog"]
            except (UnicodeDecodeError, OSError):
                continue
            yield f"{language} {file.stem}", "\n\n".join(text for text in said.values() if isinstance(text, str))


OTHERS: dict[str, Callable[[Path], Iterator[tuple[str, str]]]] = {
    "pages of this project": pages,
    "rows of a shop and of music": rows,
    "files of many formats, as text": formats,
    "descriptions of packages": descriptions,
    "messages of programs, a file each": messages,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data")
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    main(given.data, given.show)
