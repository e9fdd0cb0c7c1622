"""Heads of the audit outside of the ledger: written once, compared with the chain, missed where they are gone."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moat.errors import AuditBroken, StagingError
from moat.maintenance.anchors import KEPT, anchor, compare, place_of
from moat.readers.s3_objects import client_of
from moat.runtime import Runtime
from moat.settings import Settings
from tests.ledger.test_audit import by_hand, written

KEYS = {"login": "moat", "password": "moat-secret"}


@pytest.fixture(params=["sqlite", "postgresql"])
def runtime(request: pytest.FixtureRequest, settings: Settings, make_runtime: Callable[[Settings], Runtime]) -> Runtime:
    """A ledger with anchors in a folder; nothing has happened yet."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    return make_runtime(settings.model_copy(update={"ledger_url": url}))


def files(runtime: Runtime) -> list[Path]:
    return sorted((runtime.settings.home / "staging" / ".audit" / "default").iterdir())


def test_an_audit_without_rows_needs_no_anchor(runtime: Runtime) -> None:
    assert anchor(runtime) is None
    assert compare(runtime).anchors == 0


def test_an_anchor_is_written_when_something_has_happened_and_covers_all_before(runtime: Runtime) -> None:
    hashes = written(runtime.ledger, 3)
    first = anchor(runtime)
    assert first is not None
    assert (first.number, first.rows, first.head) == (1, 3, hashes[-1])
    assert anchor(runtime) == first, "the row that tells of it calls for no anchor of its own"
    written(runtime.ledger, 2)
    second = anchor(runtime)
    assert second is not None
    assert (second.number, second.rows) == (2, 6)
    assert [json.loads(f.read_text())["rows"] for f in files(runtime)] == [3, 6]
    assert {f.stat().st_mode & 0o777 for f in files(runtime)} == {0o400}
    compared = compare(runtime)
    assert (compared.verified.rows, compared.anchors, compared.missing) == (7, 2, ())


def anew(runtime: Runtime, n: int) -> None:
    """The whole chain written anew by somebody who has the ledger's database: valid by itself."""
    by_hand(runtime.ledger, "DELETE FROM audit", "DELETE FROM audit_head")
    written(runtime.ledger, n)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_a_chain_that_was_written_anew_names_the_first_anchor_that_does_not_fit(runtime: Runtime, n: int) -> None:
    for _ in range(2):
        written(runtime.ledger, 3)
        anchor(runtime)
    anew(runtime, n)
    with pytest.raises(AuditBroken, match="does not fit anchor 1,"):
        compare(runtime)
    with pytest.raises(AuditBroken, match="does not fit anchor 2"):
        anchor(runtime)
    assert len(files(runtime)) == 2, "what was written anew gets no anchor"


def test_an_end_that_was_cut_off_is_found(runtime: Runtime) -> None:
    hashes = written(runtime.ledger, 4)
    anchor(runtime)
    by_hand(runtime.ledger, "DELETE FROM audit WHERE id > 2", f"UPDATE audit_head SET hash = '{hashes[1]}'")
    with pytest.raises(AuditBroken, match=r"does not fit anchor 1,.*it has 2 rows now"):
        compare(runtime)


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_missing_anchor_is_told_the_newest_too(runtime: Runtime, gone: int) -> None:
    for _ in range(3):
        written(runtime.ledger, 1)
        anchor(runtime)
    files(runtime)[gone].unlink()
    assert compare(runtime).missing == (gone + 1,)
    written(runtime.ledger, 1)
    again = anchor(runtime)
    assert again is not None
    assert again.number == 4, "no number is used again"
    assert compare(runtime).missing == (gone + 1,)


@pytest.mark.parametrize("changed", ["{", "[]", '{"tenant": "other"}', "NaN", "[" * 100_000])
def test_an_anchor_that_was_changed_is_named(runtime: Runtime, changed: str) -> None:
    written(runtime.ledger, 1)
    anchor(runtime)
    (file,) = files(runtime)
    file.chmod(0o600)
    file.write_text(changed)
    with pytest.raises(AuditBroken, match=r"00000001\.json was changed"):
        compare(runtime)


def test_an_anchor_is_never_written_over(runtime: Runtime) -> None:
    place = place_of(runtime.settings, runtime.connections)
    assert place.write("00000001.json", b"first")
    assert not place.write("00000001.json", b"second")
    assert place.read("00000001.json") == b"first"
    assert [f.name for f in files(runtime)] == ["00000001.json"], "no draft is left"


@pytest.fixture(params=[False, True], ids=["plain", "object lock"])
def bucket(request: pytest.FixtureRequest, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str, bool]:
    """A bucket of a real S3 server, its name, and whether it has object lock."""
    extra = {"endpoint_url": s3_server, "region_name": "us-east-1"}
    monkeypatch.setenv("AIRFLOW_CONN_S3", json.dumps({"conn_type": "aws", **KEYS, "extra": extra}))
    from moat.connections import EnvironmentConnections

    client, name = client_of(EnvironmentConnections().get("s3")), f"audit-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=request.param)
    return client, name, request.param


def test_in_a_bucket_an_anchor_is_kept_from_everybody_where_there_is_object_lock(
    bucket: tuple[Any, str, bool], settings: Settings, make_runtime: Callable[[Settings], Runtime]
) -> None:
    client, name, locked = bucket
    changed = {"audit_uri": f"s3://{name}/anchors/", "staging_conn_id": "s3"}
    runtime = make_runtime(settings.model_copy(update=changed))
    written(runtime.ledger, 2)
    made = anchor(runtime)
    assert made is not None
    key = "anchors/default/00000001.json"
    (version,) = client.list_object_versions(Bucket=name)["Versions"]
    assert version["Key"] == key
    place = place_of(runtime.settings, runtime.connections)
    assert not place.write("00000001.json", b"other"), "what is there is never written over"
    if locked:
        with pytest.raises(client.exceptions.ClientError):
            client.delete_object(Bucket=name, Key=key, VersionId=version["VersionId"])
        until = client.get_object_retention(Bucket=name, Key=key, VersionId=version["VersionId"])["Retention"]
        assert until["Mode"] == "COMPLIANCE"
        assert (until["RetainUntilDate"] - version["LastModified"]).days in (KEPT.days - 1, KEPT.days)
        forged = made.text().replace(made.head, "0" * 64).encode()
        client.put_object(Bucket=name, Key=key, Body=forged)  # a newer version hides it, and does not count
    compared = compare(runtime)
    assert (compared.anchors, compared.missing) == (1, ())
    anew(runtime, 4)
    with pytest.raises(AuditBroken, match="anchor 1,"):
        compare(runtime)


def test_a_bucket_that_does_not_answer_is_no_silence(
    bucket: tuple[Any, str, bool], settings: Settings, make_runtime: Callable[[Settings], Runtime]
) -> None:
    changed = {"audit_uri": "s3://no-such-bucket/anchors", "staging_conn_id": "s3"}
    runtime = make_runtime(settings.model_copy(update=changed))
    written(runtime.ledger, 1)
    for look in (anchor, compare):
        with pytest.raises(StagingError, match="NoSuchBucket"):
            look(runtime)
