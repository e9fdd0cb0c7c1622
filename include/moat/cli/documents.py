"""moat search, count, explain, quarantine list, show and replay."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from moat.cli import render
from moat.cli.filters import filters_of
from moat.cli.shared import Json, Key, Name, err, known_source, opened_ledger, out
from moat.errors import FatalError
from moat.ledger import answers, quarantine
from moat.ledger.former_names import document_ids
from moat.ledger.quarantine import Quarantined, Which
from moat.search.explain_access import Why, why
from moat.search.explain_document import Revision
from moat.search.explain_document import explain as story_of
from moat.search.identity import Asker, Bearer
from moat.settings import Settings
from moat.timeparse import moment

if TYPE_CHECKING:
    from moat.retrieve import Retriever

As = Annotated[str, typer.Option("--as", help="The asker, such as user:alice@example.com.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the asker's JWT, instead of --as.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--filter", help="NAME=VALUE, or a bound such as 'price<10' or 'modified>=2026-07-01'; repeatable."),
]
Stage = Annotated[str | None, typer.Option(help="read, parse or clean.")]
Reason = Annotated[str | None, typer.Option(help="Name of the error, such as ParseFailed.")]
Since = Annotated[str | None, typer.Option(help="Last failure at or after this time: 2026-07-05, or 24h or 7d ago.")]
Until = Annotated[str | None, typer.Option(help="Last failure before this time; same format as --since.")]

quarantine_app = typer.Typer(no_args_is_help=True, help="Show and replay quarantined documents.")


def add(app: typer.Typer) -> None:
    app.command()(search)
    app.command()(count)
    app.command()(explain)
    app.add_typer(quarantine_app, name="quarantine")
    quarantine_app.command("list")(quarantine_list)
    quarantine_app.command("show")(quarantine_show)
    quarantine_app.command("replay")(quarantine_replay)


def search(
    question: Annotated[str, typer.Argument(help="What is asked, in the asker's words.")],
    asker: As = "",
    token_file: TokenFile = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many hits.")] = 5,
    mode: Annotated[str, typer.Option(help="Search mode: vector, keyword or hybrid.")] = "hybrid",
    where: Where = None,
    json: Json = False,
) -> None:
    """Search as an asker: returns only what they may read."""
    with _door() as retriever:
        answer = retriever.search(question, _asker(asker, token_file), limit, mode, filters_of(where))  # type: ignore[arg-type]
    if json:
        typer.echo(render.as_json({"refused": answer.refused, "hits": list(answer)}))
        raise typer.Exit(1 if answer.refused else 0)
    if answer.refused:
        err.print(f"nothing: {answer.refused}")
        raise typer.Exit(1)
    for hit in answer:
        page = f", page {hit.page}" if hit.page else ""
        heading = escape(" › ".join(hit.heading_path) or hit.title)
        out.print(
            f"[bold]{hit.score:.3f}[/] {heading}  [dim]{hit.source}: {escape(hit.document_key)}{page}[/]", markup=True
        )
        if hit.newer_version:
            out.print(f"      older than {hit.newer_version.key}", markup=False)
        if hit.link:
            out.print(f"      {hit.link}", markup=False)
        out.print("      " + " ".join(hit.text.split())[:300])
    if not answer:
        out.print(f"nothing that {asker or 'the token'} may read answers it")


def count(
    asker: As = "",
    token_file: TokenFile = None,
    by: Annotated[str, typer.Option(help="Group by source, key, kind or a metadata name.")] = "source",
    where: Where = None,
    json: Json = False,
) -> None:
    """Count exactly the documents and chunks that an asker may read."""
    who = _asker(asker, token_file)
    with _door() as retriever:
        whole = retriever.count(who, filters_of(where))
        shares = retriever.aggregate(who, by, filters_of(where))
    refused = whole.refused or shares.refused
    if json:
        typer.echo(render.as_json({"refused": refused, "all": whole, "by": by, "shares": shares}))
        raise typer.Exit(1 if refused else 0)
    if refused:
        err.print(f"nothing: {refused}")
        raise typer.Exit(1)
    rows = [(value, share.documents, share.chunks) for value, share in shares.items()]
    render.table(out, (by, "documents", "chunks"), [*rows, ("all", whole.documents, whole.chunks)], "")


def _door() -> "Retriever":
    from moat.retrieve import Retriever

    logging.getLogger("moat.search.guard").setLevel(
        logging.CRITICAL
    )  # the answer contains the refusal; do not log it again
    return Retriever.from_settings()


def _asker(asker: str, token_file: Path | None) -> Asker:
    """The asker. Raises FatalError unless exactly one of both is given."""
    if bool(asker) == (token_file is not None):
        raise FatalError("who asks? Give either --as user:… or --token-file FILE")
    return Bearer(token_file.read_text("utf-8").strip()) if token_file else asker


def explain(source: Name, key: Key, asker: As = "", json: Json = False) -> None:
    """Explain a document: its loads, quarantine, chunks and access.

    With --as, which rule gives an asker access or denies it. For operators: shows documents that the
    asker may not see.
    """
    settings = Settings.load()
    with opened_ledger() as ledger:
        known_source(ledger, source)
        story = story_of(ledger, source, key)
        found = why(ledger, (source, key), asker, settings) if asker and story else None
        read_by = answers.words(
            ledger,
            document_ids(ledger, source, [key]),
            datetime.now(UTC) - answers.KEPT,
            settings.record_answers,
        )
    if story is None:
        raise FatalError(
            f"the ledger never saw {key!r} of {source}: the source has not listed it, or its key is another; `moat run FILE --dry-run` shows what would come"
        )
    if json:
        typer.echo(render.as_json({**story.to_dict(), "read_by": read_by} | ({"why": found} if found else {})))
        return
    out.print(f"[bold]{source}[/]: {escape(key)}", markup=True)
    out.print(
        f"state:  {story.state}\naccess: {story.access}"
        + (f"\naside:  {story.quarantined}" if story.quarantined else "")
        + f"\nread:   {read_by}"
    )
    if found:
        _print_why(found)
    if story.revisions:
        render.table(
            out,
            ("added in", "state", "retired in", "opened", "chunks", "content", "title"),
            (
                (
                    f"load {r.added_in}",
                    r.added_state,
                    r.retired_in and f"load {r.retired_in}",
                    r.opened_at,
                    r.n_chunks,
                    r.content_hash[:12],
                    r.title,
                )
                for r in story.revisions
            ),
            "",
        )
        _print_words(story.revisions[-1])
    render.table(
        out,
        ("chunk", "at", "page", "tokens", "since", "heading"),
        (
            (c["id"], c["position"], c["page"], c["n_tokens"], f"load {c['added_in']}", c["heading"])
            for c in story.chunks
        ),
        "no visible chunk",
    )


def _print_words(newest: Revision) -> None:
    """Print what of the newest content is in no chunk, by rule or without one."""
    missing = f"; missing: {', '.join(newest.words.get('missing', []))}" if newest.n_missing else ""
    if newest.n_words:
        out.print(
            f"words:  {newest.n_words - newest.n_missing:,} of {newest.n_words:,} are in its chunks or left out by a rule{missing}"
        )
    else:
        out.print("words:  not compared: its kind has no second road to its text")
    for told in newest.words.get("left_out", []):
        rule, n, sample = told.split("=", 2)
        out.print(f"left out as {rule}: {int(n):,} words: {sample}")


def _print_why(found: Why) -> None:
    out.print(f"{found.asker}: {'reads it' if found.readable else 'does not read it'}: {found.reason}")
    for number, layer in enumerate(found.layers, 1):
        by = "; ".join(" → ".join(chain) for chain in layer.by[:3]) or "they are none of these"
        out.print(f"  layer {number}: any of {', '.join(layer.any_of) or 'nobody'}: {by}")
    for chain in found.deny:
        out.print(f"  denied: {' → '.join(chain)}")


def quarantine_list(
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Include documents that have left it.")] = False,
    json: Json = False,
) -> None:
    """List quarantined documents, their errors, and until when they rest."""
    which = _which(None, stage, reason, since, until)
    with opened_ledger() as ledger:
        name = quarantine.known_source(ledger, source)
        found = quarantine.listing(ledger, name, quarantine.known_filter(ledger, name, which), resolved)
    if json:
        typer.echo(render.as_json([_plain(q) for q in found]))
    else:
        render.table(
            out,
            ("source", "key", "stage", "error", "attempts", "rests", "last", "reason"),
            ((q.source, q.key, q.stage, q.error, q.attempts, q.until, q.last_at, q.reason) for q in found),
            "nothing is in quarantine",
        )


def quarantine_show(source: Name, key: Key, json: Json = False) -> None:
    """Show one quarantined document."""
    with opened_ledger() as ledger:
        known_source(ledger, source)
        found = quarantine.listing(ledger, source, Which(key=key), resolved=True)
    if not found:
        raise FatalError(f"{key!r} of {source} was never in quarantine; `moat quarantine list` shows what is")
    plain = _plain(found[0])
    typer.echo(render.as_json(plain)) if json else render.table(out, ("", ""), plain.items(), "")


def _plain(found: Quarantined) -> dict[str, object]:
    fields = {name: getattr(found, name) for name in found.__dataclass_fields__}
    return {**fields, "rests": found.rests, "way": found.way}


def quarantine_replay(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None,
    key: Annotated[str | None, typer.Argument(help="Only this document, however often it failed.")] = None,
    of: Annotated[str | None, typer.Option("--source", help="The source, as an option.")] = None,
    at: Annotated[str | None, typer.Option("--key", help="The key, as an option.")] = None,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    again: Annotated[bool, typer.Option("--again", help="Include documents that failed three times.")] = False,
    json: Json = False,
) -> None:
    """Try documents again at the next run of their source, although they are unchanged."""
    if (source and of and source != of) or (key and at and key != at):
        raise FatalError("one source and one key at a time: moat quarantine replay SOURCE KEY")
    which = _which(key or at, stage, reason, since, until)
    with opened_ledger() as ledger:
        name = quarantine.known_source(ledger, source or of)
        found = quarantine.replay(
            ledger, name, quarantine.known_filter(ledger, name, which), "taken" if again else "left"
        )
    if json:
        typer.echo(render.as_json(found))
        return
    render.table(
        out,
        ("source", "marked"),
        ((name, len(keys)) for name, keys in found.marked.items()),
        "nothing else in quarantine matches" if found.resting else "nothing in quarantine matches",
    )
    for name, n in found.resting.items():
        out.print(quarantine.left_resting(name, n))
    if found.marked:
        out.print("they are read again at the next run; the DAG replay_quarantine, or `moat run FILE`, does it now")


def _which(key: str | None, stage: str | None, reason: str | None, since: str | None, until: str | None) -> Which:
    """The quarantine filter of these options. Raises FatalError for an unreadable time."""
    now = datetime.now(UTC)
    return Which(
        key=key,
        stage=stage,
        error=reason,
        since=moment(since, now) if since else None,
        until=moment(until, now) if until else None,
    )
