"""Declarations that validate themselves, with messages for whoever misspelt one.

A nested declaration cannot know its owner: Python builds `Limits(min_document=100)` before the
`Source(...)` around it. So its errors are kept, and the Source, which has a name, raises all of them
at once.
"""

import difflib
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from moat.errors import DeclarationError

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def declared(cls: type[T]) -> type[T]:
    """Make a frozen dataclass that checks its types and keeps its errors."""
    checked = dataclass(frozen=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))(cls)
    validate = checked.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            validate(self, *args, **kwargs)
        except ValidationError as error:
            names = [f.name for f in fields(checked)]
            object.__setattr__(self, "_problems", tuple(_words(e, cls.__name__, names) for e in error.errors()))

    checked.__init__ = init  # type: ignore[method-assign]
    return checked  # type: ignore[return-value]


@dataclass_transform(frozen_default=True)
def declared_whole(cls: type[T]) -> type[T]:
    """Make an outermost declaration, with `name` and `wrong()`, that raises every error inside it."""
    whole: Any = declared(cls)
    keep = whole.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        keep(self, *args, **kwargs)
        found = problems(self)
        if found:  # some fields are not set, so look into the arguments
            found += [words for field, value in kwargs.items() for words in problems(value, field)]
        if found := found or self.wrong():
            name = kwargs.get("name") or (args[0] if args else "?")
            raise DeclarationError(f"{cls.__name__.lower()} {name!r}: " + "; ".join(dict.fromkeys(found)))

    whole.__init__ = init
    return whole  # type: ignore[no-any-return]


def problems(declaration: object, path: str = "") -> list[str]:
    """Errors of a declaration and of those inside it, each with its path."""
    found = [f"{path}.{words}".lstrip(".") for words in getattr(declaration, "_problems", ())]
    if found or not is_dataclass(declaration):
        return found
    for field in fields(declaration):
        found += problems(getattr(declaration, field.name), f"{path}.{field.name}".lstrip("."))
    return found


def _words(error: Any, owner: str, names: list[str]) -> str:
    """Turn a pydantic error into a sentence with the field and what is allowed."""
    where = ".".join(str(part) for part in error["loc"])
    match error["type"]:
        case "unexpected_keyword_argument":
            close = difflib.get_close_matches(where, names, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            return f"{where}: {owner} has no such field.{hint} It takes {', '.join(names)}."
        case "missing" | "missing_argument":
            return f"{where}: {owner} needs it. It takes {', '.join(names)}."
        case "unexpected_positional_argument":
            return f"{owner} takes {', '.join(names)}, by name."
        case _:
            return f"{where}: {error['msg']}; got {error['input']!r}."
