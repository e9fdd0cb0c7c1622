"""YAML that decides access, read so that no key stands twice.

YAML itself lets the last of two equal keys win, so a rule that was left standing below would silently
replace the one above it.
"""

from collections.abc import Hashable
from typing import Any

import yaml

# PyYAML lets these pass for values that look like another type: a day such as 2026-02-30, `!!bool maybe`.
UNREADABLE = (ValueError, KeyError, AttributeError, TypeError, OverflowError, RecursionError)


def load(text: str) -> Any:
    """Read one YAML document whose keys all stand once.

    Keys are compared as they are read, so quoted and plain ones are the same, and with those that `<<`
    merges into the mapping.

    Args:
        text: The document.

    Returns:
        Its content.

    Raises:
        YAMLError: It is no YAML, holds several documents, or a key stands twice; with the line.
    """
    try:
        return yaml.load(text, _Once)  # noqa: S506, because _Once is a SafeLoader
    except UNREADABLE as error:
        raise yaml.YAMLError(f"a value in it cannot be read: {type(error).__name__} {error}") from error


class _Once(yaml.SafeLoader):
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
