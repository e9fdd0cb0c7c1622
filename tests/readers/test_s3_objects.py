"""Objects of a real S3 server: the reader's contract, pages, tags, versions, overwriting."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from moat.access.policy import Policy
from moat.access.rules import AccessFiles, Groups, ObjectTags
from moat.connections import EnvironmentConnections
from moat.errors import FatalError, SourceUnavailable
from moat.readers.reader import Gone, Reading
from moat.readers.s3_objects import S3Objects, client_of
from moat.records import RawDocument, SetAside
from moat.settings import PROJECT
from moat.testing.reader import ReaderContract, System, planned


@pytest.fixture
def connections(s3_server: str) -> EnvironmentConnections:
    uri = '{"conn_type": "aws", "login": "moat", "password": "%s", "extra": {"endpoint_url": "%s"}}'
    return EnvironmentConnections(
        {
            "AIRFLOW_CONN_S3": uri % ("moat-secret", s3_server),
            "AIRFLOW_CONN_WRONG": uri % ("other", s3_server),
            "AIRFLOW_CONN_DOWN": uri % ("moat-secret", "http://127.0.0.1:9"),
        }
    )


@pytest.fixture
def refusing(s3_server: str) -> Iterator[tuple[str, dict[tuple[str, str], tuple[int, str]]]]:
    """The real server behind a proxy that refuses some requests, as Glacier and KMS do.

    They are named by their path's end and sub-resource, and answered with a status and a code.
    """
    refused: dict[tuple[str, str], tuple[int, str]] = {}

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            what = "tagging" if query.startswith("tagging") else ""
            found = next((answer for (end, of), answer in refused.items() if path.endswith(end) and of == what), None)
            if found is not None:
                status, code = found
                body = f"<Error><Code>{code}</Code><Message>It is refused.</Message></Error>" if code else ""
                self._answer(status, {"content-type": "application/xml"}, body.encode())
                return
            with httpx.Client(trust_env=False) as client:
                got = client.get(s3_server + self.path, headers=dict(self.headers.items()))
            kept = {
                k: v for k, v in got.headers.items() if k not in ("content-length", "transfer-encoding", "connection")
            }
            self._answer(got.status_code, kept, got.content)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", refused
    server.shutdown()
    thread.join()
    server.server_close()


class TestS3Objects(ReaderContract):
    @pytest.fixture
    def system(self, s3: Any, bucket: str, connections: EnvironmentConnections) -> System:
        def drop() -> None:
            for found in s3.list_objects_v2(Bucket=bucket)["Contents"]:
                s3.delete_object(Bucket=bucket, Key=found["Key"])
            s3.delete_bucket(Bucket=bucket)

        return System(
            reader=S3Objects(conn_id="s3", bucket=bucket, prefix="docs/"),
            connections=connections,
            put=lambda name, text: s3.put_object(Bucket=bucket, Key=f"docs/{name}.md", Body=text.encode()) and None,
            remove=lambda name: s3.delete_object(Bucket=bucket, Key=f"docs/{name}.md") and None,
            break_listing=drop,
            key_of=lambda name: f"docs/{name}.md",
        )


Listing = Callable[..., dict[str, Any]]


@pytest.fixture
def listing(bucket: str, connections: EnvironmentConnections) -> Listing:
    def make(rule: Any, conn_id: str = "s3", prefix: str = "", **given: Any) -> dict[str, Any]:
        reading = Reading(source="s", rule=rule, connections=connections, project=PROJECT, max_bytes=1 << 20)
        with S3Objects(conn_id=conn_id, bucket=bucket, prefix=prefix, **given).open(reading) as reader:
            return {one.key: one for one in reader.listing()}

    return make


def test_a_listing_goes_over_all_its_pages(s3: Any, bucket: str, listing: Listing) -> None:
    for i in range(1_103):
        s3.put_object(Bucket=bucket, Key=f"n/{i:05}.txt", Body=b"x")
    assert len(listing(ObjectTags(allow="readers"), prefix="n/")) == 1_103


def test_metadata_of_an_object_is_kept_by_name_and_its_change_is_seen(
    s3: Any, bucket: str, connections: EnvironmentConnections
) -> None:
    def read(*names: str) -> tuple[str, RawDocument]:
        reading = Reading(source="s", rule=Groups(("a",)), connections=connections, project=PROJECT, max_bytes=1 << 20)
        with S3Objects(conn_id="s3", bucket=bucket, metadata=names).open(reading) as reader:
            (one,) = reader.listing()
            (raw,) = reader.fetch([planned(one)])
        assert isinstance(raw, RawDocument)
        return one.fingerprint, raw

    given = {"team": "hr", "allow": "group:everyone", "author": "=?UTF-8?Q?Zo=C3=AB?=", "odd": "=?what?"}
    s3.put_object(Bucket=bucket, Key="a.md", Body=b"text", Metadata=given)
    (plain, none), (stamped, some), (_, every) = read(), read("Team", "author"), read("*")
    assert (none.metadata, sorted(some.metadata)) == ((), ["author=Zoë", "team=hr"])
    assert sorted(every.metadata) == ["allow=group:everyone", "author=Zoë", "odd==?what?", "team=hr"]
    assert none.policy == every.policy
    assert some.fingerprint == stamped != plain == none.fingerprint
    written = s3.head_object(Bucket=bucket, Key="a.md")["LastModified"]
    assert some.modified == written.timestamp()
    assert len({none.content_hash, some.content_hash, every.content_hash}) == 3


def test_tags_say_who_may_read_and_a_moved_tag_moves_no_fingerprint(s3: Any, bucket: str, listing: Listing) -> None:
    rule = ObjectTags(allow="readers")
    s3.put_object(Bucket=bucket, Key="a.md", Body=b"x", Tagging=urlencode({"readers": "legal"}))
    s3.put_object(Bucket=bucket, Key="b.md", Body=b"x")
    before = listing(rule)
    assert before["a.md"].policy == Policy.of(["group:legal"]).text()
    assert before["b.md"].policy is None
    s3.put_object_tagging(Bucket=bucket, Key="a.md", Tagging={"TagSet": [{"Key": "readers", "Value": "hr"}]})
    after = listing(rule)
    assert after["a.md"].policy == Policy.of(["group:hr"]).text()
    assert after["a.md"].fingerprint == before["a.md"].fingerprint


def test_access_files_work_in_a_bucket(s3: Any, bucket: str, listing: Listing) -> None:
    s3.put_object(Bucket=bucket, Key=".access.yaml", Body=b"allow: [group:all]")
    s3.put_object(Bucket=bucket, Key="hr/.access.yaml", Body=b"allow: [group:hr]")
    for key in ("a.md", "hr/deep/b.md"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    found = listing(AccessFiles())
    assert {k: one.policy for k, one in found.items()} == {
        "a.md": Policy.of(["group:all"]).text(),
        "hr/deep/b.md": Policy.of(["group:hr"]).text(),
    }


def test_of_several_versions_the_newest_counts_and_a_delete_marker_is_no_document(
    s3: Any, bucket: str, listing: Listing
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a.md", "a.md", "b.md"):
        s3.put_object(Bucket=bucket, Key=key, Body=uuid.uuid4().bytes, Tagging=urlencode({"readers": "x"}))
    s3.delete_object(Bucket=bucket, Key="b.md")
    found = listing(ObjectTags(allow="readers"))
    assert list(found) == ["a.md"]
    assert found["a.md"].fingerprint.split()[1] != "null"


def test_an_object_overwritten_between_listing_and_fetching_is_noticed(
    s3: Any, bucket: str, connections: EnvironmentConnections
) -> None:
    s3.put_object(Bucket=bucket, Key="a.md", Body=b"old", Tagging=urlencode({"readers": "x"}))
    reading = Reading(
        source="s", rule=ObjectTags(allow="readers"), connections=connections, project=PROJECT, max_bytes=1 << 20
    )
    with S3Objects(conn_id="s3", bucket=bucket).open(reading) as reader:
        (one,) = reader.listing()
        s3.put_object(Bucket=bucket, Key="a.md", Body=b"new")
        (raw,) = reader.fetch([planned(one)])
    assert isinstance(raw, RawDocument)
    assert raw.content == b"new"
    assert raw.fingerprint != one.fingerprint


def test_a_wrong_key_needs_a_person_and_a_server_that_is_down_only_time(listing: Listing) -> None:
    with pytest.raises(FatalError, match="Check the connection's keys"):
        listing(ObjectTags(allow="readers"), conn_id="wrong")
    with pytest.raises(SourceUnavailable, match="source s"):
        listing(ObjectTags(allow="readers"), conn_id="down")


def test_a_server_on_this_machine_is_behind_no_proxy(
    connections: EnvironmentConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    client = client_of(connections.get("s3"))
    assert "Buckets" in client.list_buckets()
    client.close()


def test_a_bucket_that_does_not_exist_is_no_empty_listing(connections: EnvironmentConnections) -> None:
    reading = Reading(
        source="s", rule=ObjectTags(allow="readers"), connections=connections, project=PROJECT, max_bytes=1 << 20
    )
    with (
        S3Objects(conn_id="s3", bucket="nobody-made-this").open(reading) as reader,
        pytest.raises(FatalError, match="nobody-made-this"),
    ):
        list(reader.listing())


Refusing = tuple[str, dict[tuple[str, str], tuple[int, str]]]


def proxied(url: str) -> Reading:
    connection = {"conn_type": "aws", "login": "moat", "password": "moat-secret", "extra": {"endpoint_url": url}}
    return Reading(
        source="s",
        rule=ObjectTags(allow="readers"),
        connections=EnvironmentConnections({"AIRFLOW_CONN_S3": json.dumps(connection)}),
        project=PROJECT,
        max_bytes=1 << 20,
    )


def test_objects_whose_tags_may_not_be_read_are_unknown_and_all_of_them_need_a_person(
    s3: Any, bucket: str, refusing: Refusing
) -> None:
    url, refused = refusing
    for key in ("a.md", "untagged.md"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging=urlencode({"readers": "x"}))
    refused["/untagged.md", "tagging"] = (403, "AccessDenied")
    with S3Objects(conn_id="s3", bucket=bucket).open(proxied(url)) as reader:
        listed = {one.key: one for one in reader.listing()}
        refused[".md", "tagging"] = (403, "AccessDenied")
        with pytest.raises(FatalError, match="s3:GetObjectTagging"):
            list(reader.listing())
    assert listed["a.md"].policy
    assert listed["untagged.md"].policy is None
    assert "its tags cannot be read" in listed["untagged.md"].reason


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "InvalidObjectState"),  # Glacier and Deep Archive, and the archive tiers of Intelligent-Tiering
        (403, "AccessDenied"),  # the bucket's policy, the object's ACL, or kms:Decrypt
        (403, ""),  # a server without an answer in XML
        (400, "KMS.DisabledException"),
        (400, "KMS.NotFoundException"),
        (400, "KMS.KMSInvalidStateException"),
        (400, "InvalidRequest"),  # encrypted with a key of the customer
        (405, "MethodNotAllowed"),
        (451, "UnavailableForLegalReasons"),
    ],
)
def test_an_object_that_may_not_be_read_is_set_aside_and_the_others_come(
    s3: Any, bucket: str, refusing: Refusing, status: int, code: str
) -> None:
    url, refused = refusing
    for key in ("a.md", "frozen.md"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging=urlencode({"readers": "x"}))
    refused["/frozen.md", ""] = (status, code)
    with S3Objects(conn_id="s3", bucket=bucket).open(proxied(url)) as reader:
        answers = {got.key: got for got in reader.fetch(planned(one) for one in reader.listing())}
    assert isinstance(answers["a.md"], RawDocument)
    aside = answers["frozen.md"]
    assert isinstance(aside, SetAside)
    assert (aside.stage, aside.error) == ("read", "Unreadable")
    assert (code or str(status)) in aside.reason


@pytest.mark.parametrize(("status", "code"), [(404, "NoSuchKey"), (404, "")])
def test_an_object_that_is_not_found_is_gone(s3: Any, bucket: str, refusing: Refusing, status: int, code: str) -> None:
    url, refused = refusing
    for key in ("a.md", "lost.md"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging=urlencode({"readers": "x"}))
    refused["/lost.md", ""] = (status, code)
    with S3Objects(conn_id="s3", bucket=bucket).open(proxied(url)) as reader:
        answers = {got.key: got for got in reader.fetch(planned(one) for one in reader.listing())}
    assert isinstance(answers["lost.md"], Gone)
    assert isinstance(answers["a.md"], RawDocument)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "ExpiredToken", FatalError),
        (403, "SignatureDoesNotMatch", FatalError),
        (403, "AllAccessDisabled", FatalError),
        (404, "NoSuchBucket", FatalError),
        (400, "KMS.ThrottlingException", SourceUnavailable),
        (412, "PreconditionFailed", SourceUnavailable),  # again and again: somebody overwrites it all the time
    ],
)
def test_what_is_refused_for_all_objects_sets_none_aside(
    s3: Any, bucket: str, refusing: Refusing, status: int, code: str, error: type[Exception]
) -> None:
    url, refused = refusing
    s3.put_object(Bucket=bucket, Key="a.md", Body=b"x", Tagging=urlencode({"readers": "x"}))
    with S3Objects(conn_id="s3", bucket=bucket).open(proxied(url)) as reader:
        listed = list(reader.listing())
        refused["/a.md", ""] = (status, code)
        with pytest.raises(error):
            list(reader.fetch(planned(one) for one in listed))


def test_what_programs_leave_beside_documents_is_left_out_and_named(
    s3: Any, bucket: str, connections: EnvironmentConnections
) -> None:
    beside = ("docs/", "docs/sub_$folder$", "docs/_SUCCESS", "docs/~$plan.docx", "docs/Thumbs.db", "docs/.DS_Store")
    for key in (*beside, "docs/plan.docx", "docs/_SUCCESS.md"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    told = list[str]()
    reading = Reading(
        source="s",
        rule=Groups(allow=("a",)),
        connections=connections,
        project=PROJECT,
        max_bytes=1 << 20,
        progress=told.append,
    )
    with S3Objects(conn_id="s3", bucket=bucket).open(reading) as reader:
        assert {one.key for one in reader.listing()} == {"docs/plan.docx", "docs/_SUCCESS.md"}
    (line,) = told
    assert line.startswith("s: 5 left out, ")
    assert all(repr(key) in line for key in beside[:5])
    with S3Objects(conn_id="s3", bucket=bucket, leave_out=()).open(reading) as reader:
        assert len(list(reader.listing())) == 6


def bare(url: str, rule: Any) -> Reading:
    """Opened through the proxy, with another rule."""
    return replace(proxied(url), rule=rule)


@pytest.mark.parametrize(
    "wrong", [(403, "InvalidObjectState"), (403, "AccessDenied"), (400, "KMS.DisabledException"), b"x" * 300_000, b"\xff\xfe", b"["]
)  # fmt: skip
def test_an_access_object_that_cannot_be_read_is_unknown_below_it_and_the_rest_goes_on(
    s3: Any, bucket: str, refusing: Refusing, wrong: tuple[int, str] | bytes
) -> None:
    url, refused = refusing
    for key, body in {".access.yaml": b"allow: [group:all]", "hr/.access.yaml": b"allow: [group:hr]"}.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    for key in ("a.md", "hr/deep/b.md"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    if isinstance(wrong, bytes):
        s3.put_object(Bucket=bucket, Key="hr/.access.yaml", Body=wrong)
    else:
        refused["/hr/.access.yaml", ""] = wrong
    with S3Objects(conn_id="s3", bucket=bucket).open(bare(url, AccessFiles())) as reader:
        found = {one.key: one for one in reader.listing()}
    assert found["a.md"].policy
    assert found["hr/deep/b.md"].policy is None
    assert found["hr/deep/b.md"].reason.startswith("hr/.access.yaml cannot be read: ")
    assert len(found["hr/deep/b.md"].reason) <= 300


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(400, "KMS.ThrottlingException", SourceUnavailable), (403, "ExpiredToken", FatalError), (403, "AllAccessDisabled", FatalError)],
)  # fmt: skip
def test_an_access_object_that_cannot_be_read_because_nothing_can_masks_nothing(
    s3: Any, bucket: str, refusing: Refusing, status: int, code: str, error: type[Exception]
) -> None:
    url, refused = refusing
    s3.put_object(Bucket=bucket, Key="hr/b.md", Body=b"x")
    refused["/hr/.access.yaml", ""] = (status, code)
    with S3Objects(conn_id="s3", bucket=bucket).open(bare(url, AccessFiles())) as reader, pytest.raises(error):
        list(reader.listing())


def test_a_name_of_an_access_object_that_is_nearly_right_is_found_among_many_keys(
    s3: Any, bucket: str, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moat.readers.s3_objects.A_PAGE", 3)
    s3.put_object(Bucket=bucket, Key=".access.yaml", Body=b"allow: [group:all]")
    for key in ("0.md", "1.md", "2.md", "3.md", "hr/0.md", "hr/1.md", "hr/2.md", "hr/3.md", "hr/Access.yml"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    found = listing(AccessFiles())
    assert found["0.md"].policy
    assert {one.policy for key, one in found.items() if key.startswith("hr/")} == {None}
    assert "'Access.yml'" in found["hr/0.md"].reason


def test_a_listing_of_odd_keys_ends(bucket: str, connections: EnvironmentConnections) -> None:
    reading = Reading(source="s", rule=AccessFiles(), connections=connections, project=PROJECT, max_bytes=1 << 20)
    keys = ["/a.md", "//b.md", "x//c.md", "../d.md", "./e.md", "x/../f.md", "/" * 500 + "g.md"]
    with S3Objects(conn_id="s3", bucket=bucket).open(reading) as reader:
        odd = [{"Key": key, "ETag": "e", "Size": 1} for key in keys]
        reader._objects = lambda: iter(odd)  # type: ignore[attr-defined, method-assign]  # the server at hand keeps no such keys
        found = list(reader.listing())
    assert [one.key for one in found] == keys
    assert [one.policy for one in found] == [None] * len(keys)
