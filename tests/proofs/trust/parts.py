"""A long run of trust in parts: which kinds are asked for, and what earlier parts found."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.proofs.trust.harness import Night

T = TypeVar("T")


class Parts:
    """What the options of tests/proofs/trust/conftest.py ask for; without them, all of it."""

    def __init__(self, config: pytest.Config) -> None:
        def named(option: str) -> frozenset[str]:
            return frozenset(filter(None, map(str.strip, (config.getoption(option, "") or "").split(","))))

        self.days: int | None = config.getoption("--days", None)
        self.seed: int | None = config.getoption("--seed", None)
        self.only, self.sizes = named("--only"), named("--sizes")
        file = config.getoption("--known", None)
        self._file = Path(file) if file else None

    def asks_for(self, kind: str, size: object) -> bool:
        """Whether a kind is to run in a size."""
        return (not self.only or kind in self.only) and (not self.sizes or str(size) in self.sizes)

    def once(self, name: str, made: type[T], run: Callable[[], T]) -> T:
        """What an earlier part found, or what this one finds and writes down."""
        for known, fields in self._lines():
            if known == name:
                return made(**_with_night(fields))
        found = run()
        assert is_dataclass(found)
        if self._file:
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps([name, asdict(found)]) + "\n")  # type: ignore[arg-type]
        return found

    def _lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._file and self._file.exists():
            yield from map(json.loads, self._file.read_text("utf-8").splitlines())


def _with_night(found: dict[str, Any]) -> dict[str, Any]:
    """Fields of a record as they were before they became JSON."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    night = dict(found["night"])
    night["failed"] = tuple(map(tuple, night["failed"]))
    return {**fields, "night": Night(**night)}
