"""Notifies people of an incident once, and again only when it has changed.

Any process that notices something calls `tell`; the ledger lets exactly one of them send for each
state of an incident. Notification never fails a load: a failure to send is logged, and the next event
tries again.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from moat.errors import MoatError
from moat.incidents.channels import Message, send
from moat.incidents.redact import Redactor
from moat.ledger import incidents
from moat.ledger.incidents import Incident
from moat.links import page
from moat.runtime import Runtime
from moat.settings import parted

MOST_CAUSES, MOST_EVIDENCE, MOST_COMMANDS = 3, 4, 8
LONGEST_TITLE, LONGEST_LINE = 160, 300


def tell(runtime: Runtime, incident: Incident) -> bool:
    """Notify people through the configured channels; returns whether a message was sent now.

    False if no channel is configured, if people already know, or if no channel accepted the message.
    """
    channels, to = parted(runtime.settings.tell), parted(runtime.settings.tell_to)
    claimed = ""
    try:
        # Read again, so that two processes that notice at once see the same state and only one sends.
        incident = incidents.get(runtime.ledger, incident.id)
        runtime.progress(headline(runtime, incident, Redactor.of(runtime.settings)))
        digest = digest_of(incident)
        if not channels or incident.told == digest or not incidents.claim_telling(runtime.ledger, incident.id, digest):
            return False
        claimed = digest
        if _sent(runtime, incident, channels, to):
            return True
    except Exception as error:  # noqa: BLE001  notification is separate: no load fails because mail does
        runtime.progress(f"incident {incident.id}: people were not told: {type(error).__name__}")
    if claimed:
        _give_back(runtime, incident, claimed)
    return False


def digest_of(incident: Incident) -> str:
    """Digest of state, severity, stage and first cause, which are news if changed."""
    causes = incident.detail.get("causes") or []
    first = str(causes[0].get("name", "")) if causes else ""
    parts = (incident.state, incident.severity, incident.stage, first)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def message_of(runtime: Runtime, incident: Incident, hush: Redactor) -> Message:
    """An incident as a message with causes, reach, commands and a link."""
    fields = _fields(runtime, incident, hush)
    return Message(headline(runtime, incident, hush), "\n".join(_lines(fields)), fields)


def headline(runtime: Runtime, incident: Incident, hush: Redactor) -> str:
    """One line: severity, location and title."""
    what = incident.severity if incident.state == "open" else incident.state
    where = f"{incident.source}, {incident.stage}"
    tenant = "" if runtime.settings.tenant == "default" else f" {runtime.settings.tenant}"
    return hush(f"[Moat{tenant}] {what}: {where}: {incident.title or f'incident {incident.id}'}", LONGEST_TITLE)


def _sent(runtime: Runtime, incident: Incident, channels: Sequence[str], to: Sequence[str]) -> bool:
    """Send through all channels and log failures; returns whether one succeeded."""
    message, n = message_of(runtime, incident, Redactor.of(runtime.settings, _known(runtime, channels))), 0
    for channel in channels:
        try:
            send(runtime.connections, channel, to, message)
            n += 1
        except MoatError as error:
            runtime.progress(f"incident {incident.id}: {channel} was not told: {type(error).__name__}: {error}")
    runtime.progress(f"incident {incident.id}: told through {n} of {len(channels)} channels")
    return n > 0


def _give_back(runtime: Runtime, incident: Incident, digest: str) -> None:
    try:
        incidents.give_back_telling(runtime.ledger, incident.id, digest)
    except MoatError as error:
        runtime.progress(f"incident {incident.id}: counts as told though nobody was: {type(error).__name__}")


def _known(runtime: Runtime, channels: Sequence[str]) -> Iterator[str]:
    """The channels' own secrets, which an error text might contain."""
    for channel in channels:
        try:
            yield runtime.connections.get(channel.partition(":")[2]).password
        except MoatError:
            continue  # `send` says what is wrong with it


def _fields(runtime: Runtime, incident: Incident, hush: Redactor) -> dict[str, Any]:
    detail = incident.detail
    causes = [
        {
            "name": str(cause.get("name", "")),
            "title": hush(str(cause.get("title", "")), LONGEST_LINE),
            "score": round(float(cause.get("score", 0.0)), 3),
            "evidence": [hush(str(line), LONGEST_LINE) for line in (cause.get("evidence") or ())[:MOST_EVIDENCE]],
        }
        for cause in (detail.get("causes") or ())[:MOST_CAUSES]
    ]
    return {
        "event": "incident",
        "id": incident.id,
        "tenant": runtime.settings.tenant,
        "source": incident.source,
        "stage": incident.stage,
        "state": incident.state,
        "severity": incident.severity,
        "title": hush(incident.title, LONGEST_TITLE),
        "causes": causes,
        "reach": _reach(detail.get("reach"), hush),
        "commands": [hush(str(line), LONGEST_LINE) for line in (detail.get("commands") or ())[:MOST_COMMANDS]],
        "load": incident.load_id,
        "run": incident.run,
        "link": _link(runtime, incident),
        "page": page(base, "incident", incident=incident.id) if (base := _base(runtime)) else None,
        "happened_at": _at(incident.happened_at),
        "opened_at": _at(incident.opened_at),
        "acknowledged_at": _at(incident.acknowledged_at),
        "resolved_at": _at(incident.resolved_at),
        "by": incident.resolved_by or incident.acknowledged_by,
        "because": hush(incident.because, LONGEST_LINE) if incident.because else None,
        "digest": digest_of(incident)[:16],
    }


def _lines(fields: Mapping[str, Any]) -> Iterator[str]:
    yield fields["title"]
    yield ""
    yield f"Source {fields['source']}, stage {fields['stage']}, severity {fields['severity']}, {fields['state']}"
    yield f"Incident {fields['id']}, since {fields['happened_at']}, noticed {fields['opened_at']}"
    if fields["load"]:
        yield f"Load {fields['load']}"
    if fields["by"]:
        yield f"{str(fields['state']).capitalize()} by {fields['by']}" + (
            f": {fields['because']}" if fields["because"] else ""
        )
    if fields["state"] != "resolved":
        if fields["causes"]:
            yield from ("", "Why, the most likely first:")
        for n, cause in enumerate(fields["causes"], 1):
            yield f"{n}. {cause['title']} ({cause['score']:.0%})"
            yield from (f"   - {line}" for line in cause["evidence"])
        if fields["reach"]:
            reach = ", ".join(f"{value} {name}" for name, value in fields["reach"].items())
            yield from ("", f"How far it reaches: {reach}")
        if fields["commands"]:
            yield from ("", "What to do:", *(f"  {line}" for line in fields["commands"]))
    if fields["link"]:
        yield from ("", f"Airflow: {fields['link']}", f"This incident: {fields['page']}")


def _reach(reach: Any, hush: Redactor) -> dict[str, Any]:
    """Counts; short lists of names are reduced to their length."""
    found: dict[str, Any] = {}
    for name, value in dict(reach or {}).items():
        if isinstance(value, bool | int | float):
            found[name] = value
        elif isinstance(value, list | tuple):
            found[name] = len(value)
        elif value:
            found[name] = hush(str(value), LONGEST_LINE)
    return found


def _base(runtime: Runtime) -> str:
    """Where people reach Airflow; empty if no setting says."""
    return (runtime.settings.tell_link or runtime.settings.airflow_url).rstrip("/")


def _link(runtime: Runtime, incident: Incident) -> str | None:
    """URL of the run in Airflow's UI; None for a load outside Airflow."""
    base = _base(runtime)
    kind, _, rest = incident.run.partition(":")
    dag, _, run = rest.partition(":")
    if not base or kind != "airflow" or not run:
        return f"{base}/dags/{quote(incident.source, safe='')}" if base else None
    return f"{base}/dags/{quote(dag, safe='')}/runs/{quote(run, safe='')}"


def _at(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
