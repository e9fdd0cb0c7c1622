"""YAML that decides access, read so that no key stands twice, and within bounds.

YAML itself lets the last of two equal keys win, so a rule that was left standing below would silently
replace the one above it. An alias inside an alias doubles what a text stands for with every line.
"""

from collections.abc import Hashable
from typing import Any

import yaml

# PyYAML lets these pass for values that look like another type: a day such as 2026-02-30, `!!bool maybe`.
UNREADABLE = (ValueError, KeyError, AttributeError, TypeError, OverflowError, RecursionError)
DEEPEST = 20  # mappings and lists inside each other
MOST_ALIASED = 20_000  # values that all aliases together stand for


def load(text: str, longest: int | None = None, longest_value: int | None = None) -> Any:
    """Read one YAML document whose keys all stand once.

    Keys are compared as they are read, so quoted and plain ones are the same, and with those that `<<`
    merges into the mapping.

    Args:
        text: The document.
        longest: Characters that it may have; None: any number.
        longest_value: Characters that one value may have, such as a number; None: any number.

    Returns:
        Its content.

    Raises:
        YAMLError: It is no YAML, holds several documents, is too long or too deep, its aliases stand for too
            much, or a key stands twice; with the line.
    """
    if longest is not None and len(text) > longest:
        raise yaml.YAMLError(f"it has {len(text):,} characters; at most {longest:,} are read")
    loader = _Once(text, longest_value)
    try:
        return loader.get_single_data()
    except UNREADABLE as error:
        raise yaml.YAMLError(f"a value in it cannot be read: {type(error).__name__} {error}") from error
    finally:
        loader.dispose()


def load_own(text: str) -> Any:
    """Read one YAML document that whoever writes the DAG files wrote: as `load`, faster and without bounds.

    Raises:
        YAMLError: It is no YAML, holds several documents, or a key stands twice; with the line.
    """
    loader = _OwnOnce(text)  # type: ignore[call-arg]  # its base is one of two, by what PyYAML was built with
    try:
        return loader.get_single_data()
    except UNREADABLE as error:
        raise yaml.YAMLError(f"a value in it cannot be read: {type(error).__name__} {error}") from error
    finally:
        loader.dispose()


class _NoKeyTwice(yaml.constructor.SafeConstructor):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        found = super().construct_mapping(node, deep)  # merged keys are now among those of the node
        if len(found) < len(node.value):
            lines: dict[Hashable, int] = {}
            for name, _ in node.value:
                key, line = self.construct_object(name, deep=True), name.start_mark.line + 1
                if key in lines:
                    raise yaml.constructor.ConstructorError(
                        problem=f"key {key!r} stands twice, in lines {lines[key]} and {line}; keep one of them"
                    )
                lines[key] = line
        return found


class _OwnOnce(_NoKeyTwice, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    pass


class _Once(_NoKeyTwice, yaml.SafeLoader):
    def __init__(self, text: str, longest_value: int | None) -> None:
        super().__init__(text)
        self._longest_value = longest_value
        self._depth = self._n = self._n_aliased = 0
        self._stands_for: dict[str, int] = {}  # anchor -> values in what it names, with those of aliases in it

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.NodeEvent = self.peek_event()  # type: ignore[no-untyped-call]
        self._check(event)
        before, self._n, self._depth = self._n, self._n + 1, self._depth + 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._stands_for[event.anchor] = self._n - before
        return node

    def _check(self, event: yaml.NodeEvent) -> None:
        """Raise YAMLError for what is too deep, too long, or stands for too much."""
        wrong = ""
        if isinstance(event, yaml.AliasEvent):
            n = self._stands_for.get(event.anchor or "", 0)  # 0: none of that name, which is refused next
            self._n, self._n_aliased = self._n + n, self._n_aliased + n
            if self._n_aliased > MOST_ALIASED:
                wrong = f"aliases stand for more than {MOST_ALIASED:,} values; write them out"
        elif self._depth == DEEPEST:
            wrong = f"it nests deeper than {DEEPEST} levels"
        elif isinstance(event, yaml.ScalarEvent) and self._longest_value and len(event.value) > self._longest_value:
            wrong = f"a value has {len(event.value):,} characters; at most {self._longest_value:,} are read"
        if wrong:
            at = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
            raise yaml.YAMLError(f"{at}{wrong}")
