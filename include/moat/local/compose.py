"""What docker-compose.yaml says of each service, read as Docker Compose reads it.

`make cluster` starts the same services from this, so there is one description of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from moat.errors import FatalError

VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::([-?])([^}]*))?\})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service: its environment, command and files, with every variable filled in."""

    name: str
    environment: Mapping[str, str]
    command: tuple[str, ...]  # as it is executed, entry point included
    files: Mapping[str, str]  # contents of its secrets and configs, by path
    profiles: tuple[str, ...]
    ends: bool  # it does its work and ends, and others wait for that


def services(file: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """Read every service of a compose file, with these variables in place of `.env`.

    Raises:
        FatalError: A variable that has to be set is not.
    """
    whole = yaml.safe_load(file.read_text("utf-8"))
    secrets = {name: variables.get(of["environment"], "") for name, of in whole["secrets"].items()}
    configs = {name: _filled(of["content"], variables) for name, of in whole["configs"].items()}
    return {name: _service(name, of, variables, secrets, configs) for name, of in whole["services"].items()}


def secret_names(file: Path) -> list[str]:
    """Names of the variables that hold a secret, in the file's order."""
    return [of["environment"] for of in yaml.safe_load(file.read_text("utf-8"))["secrets"].values()]


def _service(
    name: str,
    of: Mapping[str, Any],
    variables: Mapping[str, str],
    secrets: Mapping[str, str],
    configs: Mapping[str, str],
) -> Service:
    files = {f"/run/secrets/{one}": secrets[one] for one in of.get("secrets", ())}
    files |= {one["target"]: configs[one["source"]] for one in of.get("configs", ())}
    return Service(
        name=name,
        environment={n: _filled(str(value), variables) for n, value in of.get("environment", {}).items()},
        command=tuple(_filled(part, variables) for part in (*_words(of.get("entrypoint")), *_words(of.get("command")))),
        files=files,
        profiles=tuple(of.get("profiles", ())),
        ends=of.get("restart") == "no",
    )


def _words(command: str | list[str] | None) -> list[str]:
    """The parts of a command. One that is written as a text has no quotes here, so blanks part it."""
    return command.split() if isinstance(command, str) else list(command or ())


def _filled(text: str, variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name, how, other = found[1], found[2], found[3]
        if name is None:
            return "$"
        if given := variables.get(name, ""):
            return given
        if how == "?":
            raise FatalError(f"docker-compose.yaml needs {name}: {other}")
        return other or ""

    return VARIABLE.sub(value, text)
