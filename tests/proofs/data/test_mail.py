"""Real mail with its readers: nobody finds what they may not read, everybody what they may, as it changes too."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from moat.index.store import WeaviateStore
from moat.retrieve import Retriever
from moat.runtime import Options, Runtime
from moat.settings import Settings
from moat.source import AccessFiles, Chunking, Limits, LocalFiles, Source
from moat.stages.run import RunResult, run
from tests.company import collection_of_its_own, open_runtime

pytestmark = pytest.mark.timeout(1_800)  # a whole corpus is embedded, beside whatever else the machine does

LONGEST = 8_000  # bytes of a mail; a few are newsletters of 150 KB, more than half of all that there is to embed
Row = dict[str, Any]


def rows(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


class Mailbox:
    """All mail in one folder; its access file has a pattern for each mail."""

    def __init__(self, runtime: Runtime, shared: Path, folder: Path) -> None:
        self.runtime, self.folder = runtime, folder
        folder.mkdir()
        self.readers: dict[str, set[str]] = {}
        self.names: dict[str, str] = {}
        for row in rows(shared / "enron_acl" / "acl.jsonl"):
            self.names[row["doc_id"]] = Path(row["path"]).name
            self.readers[row["doc_id"]] = set(row["readers"])
            mail = (shared / "enron_acl" / row["path"]).read_bytes()
            folder.joinpath(self.names[row["doc_id"]]).write_bytes(mail[:LONGEST])
        self.queries = rows(shared / "enron_acl" / "acl_queries.jsonl")
        self.changes = rows(shared / "enron_acl" / "acl_changes.jsonl")
        self.source = Source(
            name="mail",
            reader=LocalFiles(path=str(folder), patterns=("*.eml",)),
            access=AccessFiles(),
            chunking=Chunking(target_tokens=256, overlap_tokens=0),
            limits=Limits(max_duplicate_ratio=1.0, max_identical_vectors_ratio=1.0),
        )

    def run(self) -> RunResult:
        patterns = [
            {"match": self.names[mail], "allow": [f"user:{reader}" for reader in sorted(readers)]}
            for mail, readers in self.readers.items()
        ]
        (self.folder / ".access.yaml").write_text(yaml.safe_dump({"patterns": patterns}), "utf-8")
        return run(self.runtime, self.source, Options(), "test")

    def vectors(self) -> dict[str, np.ndarray]:
        index = WeaviateStore.open(self.runtime.settings, "writer")
        found = index.vectors([o.id for o in index.every()])
        index.close()
        return found


@pytest.fixture(scope="module")
def mailbox(
    weaviate_server: Settings, embedder_server: int, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mailbox]:
    folder = tmp_path_factory.mktemp("mail")
    with collection_of_its_own(weaviate_server, embedder_server, folder / "home") as settings:
        made = Mailbox(open_runtime(settings), shared, folder / "mail")
        assert made.run().load.state == "promoted"
        yield made
        made.runtime.close()


def found(door: Retriever, mailbox: Mailbox, text: str, asker: str, limit: int, mode: Any = "hybrid") -> set[str]:
    mails = {name: mail for mail, name in mailbox.names.items()}
    return {mails[hit.document_key] for hit in door.search(text, f"user:{asker}", limit=limit, mode=mode)}


def test_no_forbidden_mail_is_found_and_every_allowed_one_is(mailbox: Mailbox) -> None:
    leaked, missed = [], []
    with Retriever.from_settings(mailbox.runtime.settings, mailbox.runtime.connections) as door:
        for query in mailbox.queries:
            asker, limit = query["as_user"], query["top_k"]
            may_read = {mail for mail, readers in mailbox.readers.items() if asker.lower() in readers}
            for mode in ("hybrid", "vector", "keyword"):
                hits = found(door, mailbox, query["text"], asker, limit, mode)
                forbidden = hits - may_read | hits & set(query.get("must_not_find", ()))
                if "only_from" in query:
                    forbidden |= hits - set(query["only_from"])
                leaked += [(query["qid"], mode, mail) for mail in forbidden]
                if mode == "hybrid" and (
                    set(query.get("must_find", ())) - hits
                    or ("must_find_any" in query and not hits & set(query["must_find_any"]))
                ):
                    missed.append(query["qid"])
    assert leaked == []
    assert missed == []


def test_a_person_written_in_capitals_is_the_same_person(mailbox: Mailbox) -> None:
    query = next(q for q in mailbox.queries if q["kind"] == "case")
    with Retriever.from_settings(mailbox.runtime.settings, mailbox.runtime.connections) as door:
        spelled = [
            found(door, mailbox, query["text"], asker, 10) for asker in (query["as_user"], query["as_user"].lower())
        ]
    assert spelled[0] == spelled[1] != set()


def test_grants_revocations_edits_and_deletions_hold_with_the_next_run(mailbox: Mailbox) -> None:
    before = mailbox.vectors()
    of: dict[str, list[Row]] = {}
    for change in mailbox.changes:
        of.setdefault(change["op"], []).append(change)
    for change in of["grant"]:
        mailbox.readers[change["doc_id"]].add(change["user"])
    for change in of["revoke"]:
        mailbox.readers[change["doc_id"]].discard(change["user"])
    only_access = mailbox.run()
    assert only_access.load.state == "promoted"
    assert only_access.load.counts["access"] == len({c["doc_id"] for c in of["grant"] + of["revoke"]})
    assert only_access.load.counts.get("written", 0) == 0
    after = mailbox.vectors()
    assert set(after) == set(before)
    assert all(np.array_equal(after[chunk], before[chunk]) for chunk in before)

    for change in of["delete"]:
        (mailbox.folder / mailbox.names[change["doc_id"]]).unlink()
    for change in of["edit_body"]:
        path = mailbox.folder / mailbox.names[change["doc_id"]]
        path.write_bytes(path.read_bytes() + change["append"].encode())
    content = mailbox.run().load
    assert content.state == "promoted"
    assert (content.counts["changed"], content.counts["vanished"]) == (len(of["edit_body"]), len(of["delete"]))
    assert content.counts["kept"] > 0

    with Retriever.from_settings(mailbox.runtime.settings, mailbox.runtime.connections) as door:

        def readable(asker: str) -> set[str]:
            """Everything of a person, whatever the question."""
            return found(door, mailbox, "the", asker, 1_000, "vector")

        for change in of["grant"]:
            assert change["doc_id"] in readable(change["user"]), change["seq"]
        for change in of["revoke"]:
            assert change["doc_id"] not in readable(change["user"]), change["seq"]
        for change in of["delete"]:
            for reader in mailbox.readers[change["doc_id"]]:
                assert change["doc_id"] not in readable(reader), change["seq"]
        for change in of["edit_body"]:
            code = change["append"].split()[-1].rstrip(".")
            reader = sorted(mailbox.readers[change["doc_id"]])[0]
            texts = [hit.text for hit in door.search(code, f"user:{reader}", limit=5, mode="keyword")]
            assert any(code in text for text in texts), change["seq"]
