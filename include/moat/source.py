"""Declarations of a DAG file: a source and its parts, checked when the file is parsed.

Nothing here connects to a system or imports a client library, because every task imports the DAG file.
"""

import re
from difflib import get_close_matches
from typing import Literal

from moat.access.rules import AccessFiles, AccessRule, Columns, Groups, ObjectTags, Public
from moat.declarations import declared, declared_whole
from moat.links import wrong_link
from moat.parse.options import Parsing
from moat.readers.local_files import LocalFiles
from moat.readers.reader import Reader
from moat.readers.s3_objects import S3Objects
from moat.readers.warehouse_rows import WarehouseRows

__all__ = [
    "AccessFiles",
    "Chunking",
    "Columns",
    "Golden",
    "Groups",
    "Limits",
    "LocalFiles",
    "ObjectTags",
    "Parsing",
    "Public",
    "Risks",
    "S3Objects",
    "Source",
    "WarehouseRows",
]

NAME = re.compile(r"^[a-z][a-z0-9_]{0,63}$")
RESERVED = ("verify", "list")  # subcommands of `moat erase`, so no source may have these names
# Moat's own DAGs: a source's DAG bears its name, and Airflow would run one of the two in the other's place.
OWN_DAGS = ("anchor_audit", "held_access", "reconcile", "replay_quarantine", "sync_access", "sync_directory")


def name_faults(name: str) -> list[str]:
    """Why a source cannot have this name; empty if it can."""
    found = []
    if not NAME.fullmatch(name):
        found.append("small letters, digits and _, beginning with a letter, at most 64")
    if name in RESERVED:
        found.append(f"`moat erase {name}` is a command; choose another")
    if name in OWN_DAGS:
        found.append(f"a DAG of Moat has this id; choose another, such as {name}_docs")
    return found


@declared
class Chunking:
    """Size of chunks, in tokens of the embedding model, heading path included.

    Attributes:
        target_tokens: Maximum tokens of a chunk, at least 32. A lower limit of the model applies instead.
        overlap_tokens: Maximum tokens that a chunk repeats from the one before, 0 or more; half of
            `target_tokens` applies at most.

    Example:
        Longer chunks for prose:

            Chunking(target_tokens=400, overlap_tokens=40)
    """

    target_tokens: int = 200
    overlap_tokens: int = 40

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        if self.target_tokens < 32:
            return [f"target_tokens={self.target_tokens}: at least 32"]
        if self.overlap_tokens < 0:
            return [f"overlap_tokens={self.overlap_tokens}: 0 or more"]
        return []


@declared
class Limits:
    """Thresholds of the gate and of the budget. A ratio is from 0 to 1.

    Example:
        Hold a load that removes more than 5 % of the documents or embeds more than a million tokens:

            Limits(max_vanished_ratio=0.05, max_tokens=1_000_000)
    """

    min_documents: int = 0  # a smaller listing holds the load
    max_vanished_ratio: float = 0.3  # share of the visible documents that one load may remove
    max_failed_ratio: float = 0.1  # share of a load's documents that may be quarantined
    min_words_kept: float = 0.9  # share of a document's words that must be in its chunks or declared as left out
    max_garbled_ratio: float = 0.2  # share of a load's documents with lost or wrongly decoded characters
    max_duplicate_ratio: float = 0.2  # share of a load's chunks that repeat the text of another
    max_identical_vectors_ratio: float = 0.02  # share of a load's texts whose vector equals another's
    max_widened_documents: int = 1_000  # documents that one reading may open to more people; going public always holds
    max_widened_ratio: float = 0.05  # share of the source's documents for the same, from 5 documents on
    max_reader_factor: float = 10.0  # by which a document's readers may grow at once, from 10 readers on
    max_access_age_hours: float = 24.0  # documents are masked once their access was last read longer ago
    max_tokens: int | None = None  # embedded by one load; more waits for a person before embedding; None: no limit
    max_cost: float | None = None  # of one load, in MOAT_CURRENCY; needs MOAT_COST_PER_MILLION_TOKENS; None: no limit

    @property
    def budget(self) -> bool:
        """Whether a load is compared with a budget before it embeds."""
        return self.max_tokens is not None or self.max_cost is not None

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        found = [
            f"{name}={getattr(self, name)}: 0 or more"
            for name in ("min_documents", "max_widened_documents")
            if getattr(self, name) < 0
        ]
        if self.max_reader_factor < 1:
            found.append(f"max_reader_factor={self.max_reader_factor}: 1 or more")
        if self.max_access_age_hours <= 0:
            found.append(f"max_access_age_hours={self.max_access_age_hours}: more than 0")
        budget = {"max_tokens": self.max_tokens, "max_cost": self.max_cost}
        found += [f"{name}={value}: more than 0" for name, value in budget.items() if value is not None and value <= 0]
        shares = ("vanished", "failed", "garbled", "duplicate", "identical_vectors", "widened")
        ratios = [*(f"max_{what}_ratio" for what in shares), "min_words_kept"]
        wrong = [name for name in ratios if not 0 <= getattr(self, name) <= 1]
        return found + [f"{name}={getattr(self, name)}: from 0 to 1, such as 0.3 for 30 %" for name in wrong]


RiskAction = Literal["allow", "redact", "hold", "quarantine"]


@declared
class Risks:
    """Action per risk family, for content that should not reach a model.

    `allow` counts the finding, `redact` removes it before the text is chunked, `hold` holds the load until a
    person decides, `quarantine` quarantines the document. Reports give kinds and counts, never the value.

    Example:
        Redact personal data, and quarantine documents with secrets:

            Risks(personal="redact", secrets="quarantine")
    """

    personal: RiskAction = "allow"  # mail addresses, phone, card, account and identity numbers: presidio's patterns
    secrets: RiskAction = "redact"  # keys, tokens, passwords and PINs: detect-secrets, and words
    hidden: RiskAction = "redact"  # text that a person does not see: CSS, colour, zero-width, bidi, Unicode tags
    injection: RiskAction = "hold"  # text that addresses a model instead of a reader

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; every field is checked by its type."""
        return []


@declared
class Golden:
    """Golden questions, with the documents that must answer them, in a YAML file.

    Each entry has a `question` and its `documents` (keys that must be found), or an `asker` with `never` (keys
    that this asker must not be able to read), or all of them.

    Attributes:
        file: Path of the YAML file, relative to the project.
        k: Number of results that may contain an answer, 1 or more.
        min_recall: Mean recall@k below which the load is held, from 0 to 1.

    Example:
        Hold a load if fewer than 90 % of the answers are found:

            Golden("include/samples/golden/handbook.yaml", k=5, min_recall=0.9)
    """

    file: str
    k: int = 5
    min_recall: float = 0.8

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        found = [] if self.file else ["file is empty"]
        found += [] if self.k > 0 else [f"k={self.k}: 1 or more"]
        return found + ([] if 0 <= self.min_recall <= 1 else [f"min_recall={self.min_recall}: from 0 to 1"])


@declared_whole
class Source:
    """Declare a source: its documents, who may read them, and its limits.

    Attributes:
        name: Id of the source and of its DAG: lower-case letters, digits and `_`, at most 64 characters,
            beginning with a letter. It is part of every document's id.
        reader: Where the documents are: `LocalFiles`, `S3Objects`, `WarehouseRows`, or a `Reader` of your own.
        access: Rule that says who may read each document: `Groups`, `Public`, `AccessFiles`, `ObjectTags`,
            `Columns`, or an `AccessRule` of your own.
        chunking: Size of chunks.
        limits: Thresholds of the gate and of the budget.
        risks: Action per risk family.
        parsing: What the parser takes beside a document's text, and what it leaves out.
        golden: Golden questions; None: none are asked.
        owner: Owner of the DAG in Airflow.
        description: Description of the DAG in Airflow.
        directory: Name of the `Directory` that bare group names of the access rule belong to; empty: groups of
            the company's own.
        link: Address at which a person can open a document, with `{key}` where its percent-encoded key goes; empty:
            that of the document itself, where it is on the web.
        versions: `newest` leaves a document out of an asker's searches where a newer version of it is known that
            they may read; `all` says of it which one is newer.

    Raises:
        DeclarationError: A field is wrong; the message names the source, each field and what is allowed.

    Example:
        Files of a folder that one group may read:

            Source(
                name="handbook",
                reader=LocalFiles("include/samples/handbook", patterns=("*.md",)),
                access=Groups(("staff",)),
            )
    """

    name: str
    reader: Reader
    access: AccessRule
    chunking: Chunking = Chunking()
    limits: Limits = Limits()
    risks: Risks = Risks()
    parsing: Parsing = Parsing()
    golden: Golden | None = None
    owner: str = "moat"
    description: str = ""
    directory: str = ""
    link: str = ""
    versions: Literal["all", "newest"] = "all"

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        found = [f"name={self.name!r}: {fault}" for fault in name_faults(self.name)]
        if self.directory and not NAME.fullmatch(self.directory):
            found.append(f"directory={self.directory!r}: the name of a Directory, small letters, digits and _")
        if self.link and (why := wrong_link(self.link)):
            found.append(f"link={self.link!r}: {why}, such as https://wiki.example.com/{{key}}")
        if self.access.needs not in self.reader.offers:
            fits = ", ".join(
                rule.__name__
                for rule in (Groups, Public, Columns, AccessFiles, ObjectTags)
                if rule.needs in self.reader.offers
            )
            found.append(
                f"access={type(self.access).__name__} needs {self.access.needs}, which {type(self.reader).__name__} does not have; it takes {fits}"
            )
        elif (gives := getattr(self.reader, "gives", None)) is not None:
            for name in dict.fromkeys(getattr(self.access, "names", ())):
                if name not in gives:
                    near = get_close_matches(name, gives, 1)
                    found.append(
                        f"access={type(self.access).__name__} reads {name!r}, which {type(self.reader).__name__} does not give; "
                        + (f"did you mean {near[0]!r}? " if near else "")
                        + f"it gives {', '.join(sorted(gives)) or 'nothing'}"
                    )
        for part in ("reader", "access", "chunking", "limits", "risks", "parsing", "golden"):
            value = getattr(self, part)
            found += [f"{part}.{words}" for words in (value.wrong() if value is not None else ())]
        return found
