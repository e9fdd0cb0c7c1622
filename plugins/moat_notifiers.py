"""Notifiers for any DAG's callbacks, and Moat's own callbacks: a failure is one incident.

    on_failure_callback=MailNotifier("mail_default", to=["oncall@example.com"])
    on_success_callback=MailNotifier(...)                 # ends the incident
    callback=SyncCallback(MailNotifier, kwargs={...})     # of a DeadlineAlert

The ledger sends one notification per state of an incident: of 500 tasks that fail for the same
reason, one notifies, through its own channel and those of MOAT_TELL.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseNotifier
from moat_tasks import open_runtime

from moat.errors import FatalError, MoatError

if TYPE_CHECKING:
    from moat.runtime import Runtime

log = logging.getLogger("airflow.task")
STAGES = {"sync_access": "read", "sync_directory": "read", "reconcile": "load", "replay_quarantine": "read"}
Came = Literal["failed", "late", "well"]


class _Notifier(BaseNotifier):
    """Opens, joins or ends an incident, and notifies through its channel.

    Args:
        conn_id: Airflow connection of the channel.
        to: Further mail addresses.
        source: Name of the incident's source; by default the DAG's id.
    """

    kind = ""

    def __init__(self, conn_id: str, to: Sequence[str] = (), source: str = "", **kwargs: Any) -> None:
        super().__init__(**{name: value for name, value in kwargs.items() if name == "context"})
        self.conn_id, self.to, self.source = conn_id, tuple(to), source

    def notify(self, context: Any) -> None:
        """Record and notify; a failure to do so is logged, not raised.

        Args:
            context: Airflow's context of the callback.
        """
        _notice(context, f"{self.kind}:{self.conn_id}", self.to, self.source)

    async def async_notify(self, context: Any) -> None:
        await asyncio.to_thread(self.notify, context)


class MailNotifier(_Notifier):
    """Notifies by mail through an `smtp` connection, to `to` and the addresses of MOAT_TELL_TO.

    Args:
        conn_id: Airflow connection of type `smtp`.
        to: Further mail addresses.
        source: Name of the incident's source; by default the DAG's id.
    """

    kind = "smtp"


class SlackNotifier(_Notifier):
    """Notifies by a Slack-compatible webhook.

    Args:
        conn_id: Airflow connection of type `slackwebhook`.
        source: Name of the incident's source; by default the DAG's id.
    """

    kind = "slack"


class WebhookNotifier(_Notifier):
    """Notifies by a JSON webhook; signs the message if the connection has a password.

    Args:
        conn_id: Airflow connection of type `http`.
        source: Name of the incident's source; by default the DAG's id.
    """

    kind = "webhook"


def went_wrong(context: Any) -> None:
    """on_failure_callback of the maintenance DAGs: opens or joins an incident."""
    _notice(context)


def went_well(context: Any) -> None:
    """on_success_callback of the maintenance DAGs: ends incidents of earlier failed runs."""
    _notice(context)


def access_ended(runtime: Runtime, context: Any, source: str, error: MoatError | None) -> None:
    """Open or join the incident of a source whose access could not be read, or end it.

    A failure that may pass by itself is an incident after the task's last try.
    """
    dag, run, task = _where(context)
    if error is None:
        try:
            _over(runtime, source, f"airflow:{dag}:", task)
        except MoatError as failure:
            log.warning("incidents of %s stay open: %s", source, failure)
    elif isinstance(error, FatalError) or context["ti"].try_number > context["ti"].max_tries:
        _failed(runtime, {"exception": error}, (source, STAGES.get(dag, "")), (dag, run, task))


WATCHED = {"on_failure_callback": went_wrong, "on_success_callback": went_well}  # for default_args


def _notice(context: Mapping[str, Any], channel: str = "", to: Sequence[str] = (), source: str = "") -> None:
    """Open, join or end an incident; never hide the task's error."""
    dag, run, task = _where(context)
    source = source or dag
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
        said = str(error)  # in a maintenance DAG this is a finding for a person, not a gate decision
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
    """End incidents that only earlier runs of this task opened."""
    from moat.incidents.notify import tell
    from moat.ledger import incidents

    subject = f"{runs.split(':')[1]}.{task}"
    for one in incidents.listing(runtime.ledger, source):
        of = {h.subject for h in incidents.happenings(runtime.ledger, one.id)}
        if one.run.startswith(runs) and of == {subject}:
            incidents.over(runtime.ledger, [one.id], f"{subject} went well again")
            tell(runtime, one)


def _through(runtime: Runtime, channel: str, to: Sequence[str]) -> Runtime:
    """The runtime with one more channel and more addresses in its settings."""
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
    """What the callback reports: late, failed or well."""
    if "deadline" in context:
        return "late"
    states = {
        str(getattr(_get(context.get(name), "state"), "value", _get(context.get(name), "state")))
        for name in ("ti", "dag_run")
    }
    return "failed" if context.get("exception") is not None or "failed" in states else "well"


def _where(context: Mapping[str, Any]) -> tuple[str, str, str]:
    """DAG, run and task; the callback of a run or deadline has no task."""
    run, dag, ti = context.get("dag_run"), context.get("dag"), context.get("ti")
    dag_id = _get(dag, "dag_id") or _get(run, "dag_id") or _get(ti, "dag_id") or "airflow"
    task_id = _get(ti, "task_id") or _get(context.get("task"), "task_id") or "run"
    return str(dag_id), str(context.get("run_id") or _get(run, "run_id") or ""), str(task_id)


def _get(one: Any, name: str) -> Any:
    """A field of an object, or of the dictionary that a deadline callback gets."""
    return one.get(name) if isinstance(one, Mapping) else getattr(one, name, None)
