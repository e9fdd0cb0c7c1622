"""Access sync of many sources in one task: whose turn it is, and what one that fails does to the others."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from moat.errors import MoatError, SourceUnavailable
from moat.ledger import access, access_sync
from moat.maintenance import sync_together as together
from moat.maintenance.access_sync import SyncedAccess
from moat.maintenance.sync_together import by_kind, sync_together, unread
from moat.records import Listed
from moat.runtime import Runtime
from moat.settings import Settings
from moat.source import AccessFiles, Groups, LocalFiles, Source
from tests.odd import Odd


def source_of(name: str, listing: Callable[[], Iterator[Listed]]) -> Source:
    return Source(name=name, reader=Odd(listing), access=Groups(allow=("all",)))


def test_all_due_sources_of_a_kind_are_read_in_one_go_and_the_one_that_fails_comes_last(
    settings: Settings, make_runtime: Callable[..., Runtime]
) -> None:
    runtime, read, ended = make_runtime(settings), list[str](), dict[str, SyncedAccess | MoatError]()

    def listing(name: str, error: Exception | None = None) -> Callable[[], Iterator[Listed]]:
        def listed() -> Iterator[Listed]:
            read.append(name)
            if error is not None:
                raise error
            yield from ()

        return listed

    sources = [source_of("a", listing("a", ValueError("a bug"))), *(source_of(n, listing(n)) for n in ("b", "c"))]

    def passed(since: datetime) -> list[str]:
        read.clear()
        ended.clear()
        sync_together(runtime, sources, "test", since, lambda source, result: ended.update({source.name: result}))
        return list(read)

    begun = datetime.now(UTC)
    assert passed(begun) == ["a", "b", "c"], "one that fails stops no other"
    failed = {name: result for name, result in ended.items() if isinstance(result, MoatError)}
    assert {name: type(error) for name, error in failed.items()} == {"a": SourceUnavailable}
    assert unread(failed, 3).startswith("access of 1 of 3 sources is not read: source a: ValueError: a bug")
    assert passed(begun) == ["a"], "the second try of a run reads what the first one did not"
    assert passed(datetime.now(UTC)) == ["b", "c", "a"], "it comes last, so that one that hangs holds up no other"

    # One that an earlier run still waits for has begun and not ended.
    access.begin(runtime.ledger, "b")
    access_sync.begun(runtime.ledger, "b", 3_600.0, 60.0)
    assert passed(datetime.now(UTC)) == ["c", "a", "b"]

    # Another run reads one of them while this one is at work: it is not read twice.
    def while_another_reads() -> Any:
        access.read_whole(runtime.ledger, "b")
        return listing("c")()

    sources[2] = source_of("c", while_another_reads)
    assert passed(datetime.now(UTC)) == ["c", "a"]
    assert unread({}, 3) == ""


def test_sources_go_together_by_the_kind_of_their_reader() -> None:
    odd = source_of("odd", lambda: iter(()))
    files = [Source(name=n, reader=LocalFiles(path="x"), access=AccessFiles()) for n in ("a", "b")]
    sources = {one.name: one for one in (odd, *files)}
    assert by_kind(sources, ["a", "b", "later.py", "odd"]) == {
        "LocalFiles": ["a", "b"],
        together.BROKEN: ["later.py"],
        "Odd": ["odd"],
    }
