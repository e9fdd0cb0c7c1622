"""moat erase SOURCE KEY, erase verify, erase list."""

import json as jsons
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from moat.cli import render
from moat.cli.shared import Because, Json, err, known_source, me, open_runtime, opened_ledger, out
from moat.errors import ErasureRefused, FatalError
from moat.index.store import Store, WeaviateStore
from moat.ledger import Ledger, approvals, erasure, receipts
from moat.ledger.erasure import Request
from moat.ledger.receipts import Receipt
from moat.maintenance.erase import finish
from moat.maintenance.erase import verify as verified
from moat.runtime import Runtime

DEFAULT = "SOURCE"  # no source has this name


class _SourceFirst(TyperGroup):
    """Treats a first word that is no command as a source."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in self.commands and args[0] != DEFAULT:
            return super().resolve_command(ctx, args)
        _, command, rest = super().resolve_command(ctx, [DEFAULT, *args])
        return "", command, rest


erase_app = typer.Typer(
    cls=_SourceFirst,
    no_args_is_help=True,
    context_settings={"ignore_unknown_options": True},
    help="Erase documents permanently, and verify erasures.",
)


def add(app: typer.Typer) -> None:
    app.add_typer(erase_app, name="erase")
    erase_app.command(DEFAULT)(erase)
    erase_app.command()(verify)
    erase_app.command("list")(list_)


def erase(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY...", help="Keys of its documents.")] = None,
    principal: Annotated[
        str, typer.Option(help="Select documents that only this principal may read, instead of keys.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Erase the documents that --principal selects.")] = False,
    even_unknown: Annotated[bool, typer.Option("--even-unknown", help="Accept keys that were never seen.")] = False,
    receipt: Annotated[Path | None, typer.Option(help="Write the receipt to this file.")] = None,
    because: Because = "",
    json: Json = False,
) -> None:
    """Erase documents from index, staging and ledger, and print a receipt."""
    if bool(keys) == bool(principal):
        raise ErasureRefused("name the documents by their keys, or by --principal, and not by both")
    with open_runtime(quiet=json) as runtime:
        if not even_unknown:
            _check_known(runtime.ledger, source)
        approvals.require(runtime.ledger, runtime.settings, me(), f"erasure in {source}")
        chosen = _of_principal(runtime.ledger, source, principal, yes) if principal else keys or []
        asked = Request(
            source=source,
            keys=tuple(chosen),
            by=me(),
            because=because,
            principal=principal,
            unknown="tombstone" if even_unknown else "refuse",
        )
        begun = erasure.begin(runtime.ledger, asked)  # before the index is called: from here on they are invisible
        with opened_index(runtime) as index:
            done = finish(runtime, index, begun)
    if receipt is not None:
        receipt.write_text(render.as_json(done) + "\n", "utf-8")
    typer.echo(render.as_json(done)) if json else out.print(
        f"erasure {done.id}: {len(done.documents):,} documents of {source} are gone; {render.counted(done.removed)} removed\n"
        f"`moat erase verify {done.id}` looks again, whenever you like"
    )


def verify(
    receipt: Annotated[str, typer.Argument(metavar="ID|FILE", help="Number of a receipt, or a file with one.")],
    json: Json = False,
) -> None:
    """Verify that a receipt's documents are gone; exit with 1 if not."""
    with open_runtime(quiet=json) as runtime:
        given = receipts.get(runtime.ledger, int(receipt)) if receipt.isdecimal() else _from_file(Path(receipt))
        with opened_index(runtime) as index:
            found = verified(runtime, index, given)
    if json:
        typer.echo(render.as_json({"receipt": given.id, "holds": not found, "found": found}))
    else:
        holds = f"erasure {given.id} holds: nothing of {len(given.documents):,} documents of {given.source} is there"
        render.table(out, ("where", "found"), ((f.where, f.what) for f in found), holds)
    if found:
        raise typer.Exit(1)


def list_(json: Json = False) -> None:
    """List all erasures, newest first; with --json, their receipts."""
    with opened_ledger() as ledger:
        found = receipts.listing(ledger)
    if json:
        typer.echo(render.as_json(found))
    else:
        render.table(
            out,
            ("erasure", "source", "documents", "begun", "done", "by", "because"),
            ((r.id, r.source, len(r.documents), r.begun_at, r.done_at or "not yet", r.by, r.because) for r in found),
            "nothing was erased",
        )


def _check_known(ledger: Ledger, source: str) -> None:
    try:
        known_source(ledger, source)
    except FatalError as error:
        raise ErasureRefused(f"{error} --even-unknown keeps its keys out all the same") from None


def _of_principal(ledger: Ledger, source: str, principal: str, yes: bool) -> list[str]:
    """Keys of a principal's documents, printed first; includes those of unfinished erasures."""
    mine, others = erasure.alone(ledger, source, principal)
    keys = [*mine, *erasure.open_of(ledger, source, principal)]
    if not keys:
        raise ErasureRefused(f"{source} has no document that only {principal} may read; {others:,} others name them")
    for key in keys:
        err.print(key)
    err.print(
        f"{len(keys):,} documents of {source} that only {principal} may read; {others:,} others name them and stay"
    )
    if not yes:
        raise ErasureRefused("nothing was erased yet: give the same command with --yes to erase these")
    return keys


def _from_file(file: Path) -> Receipt:
    try:
        return Receipt.of(jsons.loads(file.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise ErasureRefused(f"{file} is no receipt that can be read: {error}") from error


@contextmanager
def opened_index(runtime: Runtime) -> Iterator[Store]:
    """The index, with the operator's key, which can tell whether the collection exists."""
    operator = runtime.settings.weaviate_operator_key.get_secret_value()
    index = WeaviateStore.open(runtime.settings, "operator" if operator else "writer")
    try:
        yield index
    finally:
        index.close()
