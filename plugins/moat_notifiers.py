"""Notifiers for any DAG's callbacks, and the callbacks of Moat's own: a failure is an incident, told once.

    on_failure_callback=MailNotifier("mail_default", to=["oncall@example.com"])
    on_success_callback=MailNotifier(...)                 # ends what it told of
    callback=SyncCallback(MailNotifier, kwargs={...})     # of a DeadlineAlert

The ledger lets an incident be told once and again when it has changed, whoever notices it how often: of 500
tasks that fail of the same, one speaks, through its own channel and through those of MOAT_TELL.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseNotifier
from moat_tasks import open_runtime

from moat.errors import MoatError

if TYPE_CHECKING:
    from moat.runtime import Runtime

log = logging.getLogger("airflow.task")
STAGES = {"sync_access": "read", "sync_directory": "read", "reconcile": "load", "replay_quarantine": "read"}
Came = Literal["failed", "late", "well"]


class _Notifier(BaseNotifier):
    """Opens, joins or ends the incident of what its callback is called for, and lets its channel tell too."""

    kind = ""

    def __init__(self, conn_id: str, to: Sequence[str] = (), source: str = "", **kwargs: Any) -> None:
        super().__init__(**{name: value for name, value in kwargs.items() if name == "context"})
        self.conn_id, self.to, self.source = conn_id, tuple(to), source

    def notify(self, context: Any) -> None:
        _notice(context, f"{self.kind}:{self.conn_id}", self.to, self.source)

    async def async_notify(self, context: Any) -> None:
        await asyncio.to_thread(self.notify, context)


class MailNotifier(_Notifier):
    """By the mail server of an `smtp` connection, to the given addresses and to those of MOAT_TELL_TO."""

    kind = "smtp"


class SlackNotifier(_Notifier):
    """By a webhook of Slack's form: a `slackwebhook` connection."""

    kind = "slack"


class WebhookNotifier(_Notifier):
    """By a webhook that takes JSON: an `http` connection; with a password in it the message is signed."""

    kind = "webhook"


def went_wrong(context: Any) -> None:
    """on_failure_callback of the maintenance DAGs."""
    _notice(context)


def went_well(context: Any) -> None:
    """on_success_callback of the maintenance DAGs: what an earlier run of the same failed of is over."""
    _notice(context)


WATCHED = {"on_failure_callback": went_wrong, "on_success_callback": went_well}  # for default_args


def _notice(context: Mapping[str, Any], channel: str = "", to: Sequence[str] = (), source: str = "") -> None:
    """Make an incident of what happened, or end it. What goes wrong here is logged and hides no task's own error."""
    dag, run, task = _where(context)
    source = source or _source(context, dag)
    came = _came(context)
    try:
        with open_runtime() as runtime:
            runtime = _through(runtime, channel, to)
            if came == "failed":
                _failed(runtime, context, (source, STAGES.get(dag, "")), (dag, run, task))
            elif came == "late":
                from moat.incidents.lifecycle import late

                late(runtime, source, f"run {run} of {dag} has missed its deadline")
            else:
                _over(runtime, source, f"airflow:{dag}:", task)
    except MoatError as error:
        log.warning("no incident of %s is recorded: %s", source, error)


def _failed(runtime: Runtime, context: Mapping[str, Any], where: tuple[str, str], who: tuple[str, str, str]) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from moat.incidents.lifecycle import stage_of, task_failed

    (source, stage), (dag, run, task) = where, who
    error = context.get("exception")
    if dag in STAGES and isinstance(error, AirflowFailException):
        said = str(error)  # here it is no decision of a gate's, but what a person has to look at
    elif isinstance(error, BaseException):
        said = f"{type(error).__name__}: {error}"
    else:
        said = str(error or context.get("reason") or "it failed")
    task_failed(
        runtime,
        source,
        stage=stage or stage_of(task),
        subject=f"{dag}.{task}",
        error=said,
        number=None,
        run=f"airflow:{dag}:{run}",
    )


def _over(runtime: Runtime, source: str, runs: str, task: str) -> None:
    """End the incidents that runs of this DAG opened for the source, by this task alone."""
    from moat.incidents.notify import tell
    from moat.ledger import incidents

    subject = f"{runs.split(':')[1]}.{task}"
    for one in incidents.listing(runtime.ledger, source):
        of = {h.subject for h in incidents.happenings(runtime.ledger, one.id)}
        if one.run.startswith(runs) and of == {subject}:
            incidents.over(runtime.ledger, [one.id], f"{subject} went well again")
            tell(runtime, one)


def _through(runtime: Runtime, channel: str, to: Sequence[str]) -> Runtime:
    """The way with one channel more, and more addresses."""
    from moat.settings import parted

    if not channel:
        return runtime
    channels = dict.fromkeys([*parted(runtime.settings.tell), channel])
    addresses = dict.fromkeys([*parted(runtime.settings.tell_to), *to])
    return replace(
        runtime,
        settings=runtime.settings.model_copy(update={"tell": ",".join(channels), "tell_to": ",".join(addresses)}),
    )


def _came(context: Mapping[str, Any]) -> Came:
    """A deadline's callback has no task; a task's own failure has its exception, a run's has its state."""
    if "deadline" in context:
        return "late"
    states = {
        str(getattr(_get(context.get(name), "state"), "value", _get(context.get(name), "state")))
        for name in ("ti", "dag_run")
    }
    return "failed" if context.get("exception") is not None or "failed" in states else "well"


def _where(context: Mapping[str, Any]) -> tuple[str, str, str]:
    """The DAG, its run and the task; a run's callback or a deadline's has no task."""
    run, dag, ti = context.get("dag_run"), context.get("dag"), context.get("ti")
    dag_id = _get(dag, "dag_id") or _get(run, "dag_id") or _get(ti, "dag_id") or "airflow"
    task_id = _get(ti, "task_id") or _get(context.get("task"), "task_id") or "run"
    return str(dag_id), str(context.get("run_id") or _get(run, "run_id") or ""), str(task_id)


def _source(context: Mapping[str, Any], dag: str) -> str:
    """Whose incident it is: the source that a task of sync_access names, else the DAG."""
    label = context.get("label")
    return str(label) if dag == "sync_access" and label else dag


def _get(one: Any, name: str) -> Any:
    """A field of an object, or of the plain form that a deadline's callback is given."""
    return one.get(name) if isinstance(one, Mapping) else getattr(one, name, None)
