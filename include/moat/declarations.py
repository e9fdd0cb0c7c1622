"""Declarations that check themselves, with words for a person who misspelt one.

A declaration inside another cannot know whose it is when it is made: Python builds
`Limits(min_document=100)` before the `Source(...)` around it. So what is wrong with it is kept,
and the Source, which has a name, raises all of it at once.
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
    """A frozen dataclass whose fields are checked by type; `problems` tells what is wrong with one."""
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
    """The outermost declaration: it has a `name` and a `wrong()`, and raises what is wrong inside it."""
    whole: Any = declared(cls)
    keep = whole.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        keep(self, *args, **kwargs)
        found = problems(self)
        if found:  # its own fields are not all set, so look into what it was given
            found += [words for field, value in kwargs.items() for words in problems(value, field)]
        if found := found or self.wrong():
            name = kwargs.get("name") or (args[0] if args else "?")
            raise DeclarationError(f"{cls.__name__.lower()} {name!r}: " + "; ".join(dict.fromkeys(found)))

    whole.__init__ = init
    return whole  # type: ignore[no-any-return]


def problems(declaration: object, path: str = "") -> list[str]:
    """What is wrong with a declaration and with those inside it, each with its path."""
    found = [f"{path}.{words}".lstrip(".") for words in getattr(declaration, "_problems", ())]
    if found or not is_dataclass(declaration):
        return found
    for field in fields(declaration):
        found += problems(getattr(declaration, field.name), f"{path}.{field.name}".lstrip("."))
    return found


def _words(error: Any, owner: str, names: list[str]) -> str:
    """One pydantic error as a sentence that names the field and what is allowed."""
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
