"""A source of four documents and four people, for tests that change one thing at one moment."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moat.index.store import Store
from moat.ledger.members import principals_of
from moat.ledger.policies import access_tokens_of
from moat.settings import Settings
from tests.proofs.access.harness import Moat, Shelf

ANN, INA, HUGO = (f"user:{name}@moat.example" for name in ("ann", "ina", "hugo"))
EVERYONE, HR = "group:everyone", "group:hr"
GROUPS = {EVERYONE: [ANN, HR], HR: [INA, HUGO]}
PAY = "hr/pay.txt"
ONLY_HUGO = f"allow: ['{HUGO}']"
ONLY_HR, ALL = f"allow: ['{HR}']", f"allow: ['{EVERYONE}']"
QUESTION = "cranes"


def company(settings: Settings, **limits: Any) -> Moat:
    """Everyone reads the root, the people team (Ina and Hugo) what is in `hr/`; nothing is loaded yet."""
    texts = {
        "leave.txt": "cranes leave",
        "trips.txt": "cranes trips",
        PAY: "cranes pay first",
        "hr/file.txt": "cranes file",
    }
    moat = Moat(settings, Shelf(texts, {".access.yaml": ALL, "hr/.access.yaml": ONLY_HR}), **limits)
    moat.groups(GROUPS)
    return moat


def says(moat: Moat, text: str, folder: str = "hr/") -> None:
    """The access file of a folder from now on."""
    moat.shelf.files[f"{folder}.access.yaml"] = text


def at_end_of_listing(moat: Moat, do: Callable[[], object]) -> None:
    """Done once, when the next reading of the source has seen every document."""

    def told(n: int) -> None:
        if n == len(moat.shelf.texts):
            moat.shelf.while_listing = lambda n: None
            do()

    moat.shelf.while_listing = told


def reads(moat: Moat, who: str, key: str = PAY) -> bool:
    """Whether somebody can get any text of a document, in whatever way one asks."""
    ids = moat.ids(
        (key, text)
        for text in {f"cranes pay {nth}" for nth in ("first", "second", "third")} | {moat.shelf.texts.get(key, "")}
    )
    found = {
        hit.document_key
        for mode in ("keyword", "vector", "hybrid")
        for hit in moat.door.search(QUESTION, who, 50, mode)
    }  # type: ignore[arg-type]
    by_id, counted = bool(moat.door.get(list(ids), who)), bool(moat.door.count(who, {"key": key}).documents)
    assert (key in found, counted) in {(by_id, by_id), (False, by_id)}  # the index may be behind, and never ahead
    return by_id


def text_of(moat: Moat, who: str, key: str = PAY) -> list[str]:
    return [hit.text for hit in moat.door.search(QUESTION, who, 50, "keyword") if hit.document_key == key]


def index_lets_in(moat: Moat, who: str, key: str = PAY) -> bool:
    """Whether the filter alone would give somebody a visible chunk of a document."""
    with moat.ledger.read() as connection:
        tokens = set(
            access_tokens_of(connection, moat.ledger.tenant, principals_of(connection, moat.ledger.tenant, who))
        )
    here = moat.store.read_back(
        [moat_id for moat_id, (k, _) in moat.ids([(key, moat.shelf.texts[key])]).items() if k == key]
    )
    return any(tokens & set(o.allow) for o in here.values())


def settled_without(moat: Moat, who: str, key: str = PAY) -> None:
    """Once things have settled, the index agrees with the ledger, and neither lets somebody in."""
    assert not reads(moat, who, key)
    moat.sync()
    assert not reads(moat, who, key)
    assert not index_lets_in(moat, who, key)
    assert moat.disagreements() == []


class Heard:
    """A store that tells when it is used: `before` and `after` by the name of the method, each told once."""

    def __init__(
        self,
        inner: Store,
        before: Mapping[str, Callable[[], object]] | None = None,
        after: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self._inner, self._before, self._after = inner, dict(before or {}), dict(after or {})

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def told(*args: Sequence[Any]) -> Any:
            self._before.pop(name, lambda: None)()
            answer = method(*args)
            self._after.pop(name, lambda: None)()
            return answer

        return told
