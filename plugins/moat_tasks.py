"""Airflow parts of Moat's DAGs: the runtime of a task, the gate's decision, retries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import ExceptionRetryPolicy, Param, RetryAction, RetryRule, get_parsing_context
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context

    from moat.runtime import Runtime
    from moat.source import Source

log = logging.getLogger("airflow.task")

# The two base errors of a task: one is retried, the other needs a person.
RETRY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="moat.errors.FatalError",
            action=RetryAction.FAIL,
            reason="a person has to act: see the message",
        ),
        RetryRule(exception="moat.errors.RetriableError", action=RetryAction.RETRY, reason="it may succeed later"),
    ]
)


@contextmanager
def open_runtime() -> Iterator[Runtime]:
    """Open the runtime of a task, with its progress in the task's log."""
    from moat_connections import AirflowConnections

    from moat.runtime import Runtime

    logging.getLogger("alembic").setLevel(logging.WARNING)  # else each task begins with its two lines

    def progress(line: str) -> None:
        for part in line.splitlines():
            log.info("%s", part)

    runtime = Runtime.open(AirflowConnections(), progress=progress)
    try:
        yield runtime
    finally:
        runtime.close()


def run_of(context: Context | dict[str, Any]) -> str:
    """Identity of the run that makes a load, as stored in the ledger."""
    return f"airflow:{context['dag'].dag_id}:{context['run_id']}"


def source_names(folder: Path) -> list[str]:
    """Sources that a folder's DAG files write out, for the list in a form; none in a task, which shows no form."""
    from moat.dagfile import written_out

    return [] if get_parsing_context().dag_id else written_out(folder)


def ask_about(hold: int) -> None:
    """Trigger the held_access run that asks about a hold."""
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    # The request of TriggerDagRunOperator, which cannot be used here because it would end the task.
    answer = SUPERVISOR_COMMS.send(TriggerDagRun(dag_id="held_access", run_id=f"hold-{hold}", conf={"hold": hold}))
    if isinstance(answer, ErrorResponse) and answer.error != ErrorType.DAGRUN_ALREADY_EXISTS:
        log.warning("hold %s: the DAG held_access was not started: %s; `moat access release %s`", hold, answer, hold)


def note_run(runtime: Runtime, context: Context | dict[str, Any], text: str) -> None:
    """Write into the run's note, which the list of runs shows; where it can't be, the log alone has the text."""
    from moat.airflow_api import note
    from moat.errors import MoatError

    try:
        note(runtime.settings, context["dag"].dag_id, str(context["run_id"]), text)
    except MoatError as error:
        log.info("the note of this run stays as it was: %s", error)


def give_up(context: Context) -> None:
    """After the last try, release the lease for the next run."""
    from moat.errors import MoatError
    from moat.ledger import loads

    try:
        with open_runtime() as runtime:
            for load in loads.recent(runtime.ledger, context["dag"].dag_id):
                if load.run == run_of(context) and load.state in ("open", "staged"):
                    loads.give_up(
                        runtime.ledger, load, f"{context['task'].task_id} failed: {context.get('exception')}"[:500]
                    )
    except MoatError as error:
        log.warning("the load keeps its lease until it ends: %s", error)
    noticed(context)


def noticed(context: Context) -> None:
    """After the last try, open or join an incident of the source."""
    from moat.errors import MoatError
    from moat.incidents.lifecycle import stage_of, task_failed

    if (context.get("params") or {}).get("dry_run"):
        return  # a dry run delays no documents
    error, task = context.get("exception"), context["task"].task_id
    said = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error or "it failed")
    try:
        with open_runtime() as runtime:
            task_failed(
                runtime,
                context["dag"].dag_id,
                stage=stage_of(task),
                subject=task,
                error=said,
                number=None,
                run=run_of(context),
            )
    except MoatError as failure:
        log.warning("no incident is recorded: %s", failure)


def starter_of(context: Context | dict[str, Any]) -> str:
    """Who triggered the run, as the audit names people; `airflow:schedule` where nobody did."""
    return f"airflow:{getattr(context['dag_run'], 'triggering_user_name', None) or 'schedule'}"


def either(number: int, command: str = "moat ") -> str:
    """The two commands that answer in the place of the form."""
    return f"`{command}release {number} --because …` or `{command}reject {number} --because …`"


class _Asks(HITLOperator):
    """Asks for Release or Reject with a reason, under Required Actions.

    Airflow lets only those answer whose role may edit Human-in-the-loop details; beside that, MOAT_APPROVERS is
    asked here. An answer that does not count, such as one without a reason, leaves the task waiting for another one.
    """

    def __init__(self, **kwargs: Any) -> None:
        # A text that may not be null is one that the form demands before it lets anybody answer.
        about = "Why you release or reject. Stands in the audit, and with a rejected load."
        kwargs["params"] = {"reason": Param("", type="string", title="Reason", description=about, source="task")}
        super().__init__(options=["Release", "Reject"], **kwargs)

    def validate_params_input(self, params_input: Any) -> None:
        """Let every text through: an error here would end the run, where `answered` asks again."""

    def answered(self, context: Context, event: dict[str, Any]) -> tuple[bool, str, str]:
        """The answer of a person: whether to release, who answered, and why."""
        answer = super().execute_complete(context, event)
        by = f"airflow:{(event.get('responded_by_user') or {}).get('name', 'somebody')}"
        reason = str((event.get("params_input") or {}).get("reason") or "").strip()
        return answer["chosen_options"] == ["Release"], by, reason

    def ask(self, runtime: Runtime, context: Context, commands: str) -> None:
        """Say in the log and in the run's note why a person is asked, and what to do."""
        for line in (self.subject, *(self.body or "").splitlines()):
            if line.strip():
                log.warning("%s", line.replace("**", "").replace("`", ""))
        log.warning(
            "what to do: answer under Required Actions, on this task or on Airflow's home page, or %s", commands
        )
        note_run(runtime, context, f"waits for a person. {self.subject}. Answer under Required Actions.")

    def ask_again(self, context: Context, why: str) -> None:
        """Wait for another answer."""
        log.warning("%s: asked again", why)
        HITLOperator.execute(self, context)


class _AsksAboutLoad(_Asks):
    """Holds a load until a person releases or rejects it.

    Under Required Actions, or by `moat release` and `moat reject`; the first answer counts.
    """

    template_fields = (*HITLOperator.template_fields, "load")

    def __init__(self, *, source: Source, load: str, **kwargs: Any) -> None:
        super().__init__(subject=f"A load of {source.name} is held", **kwargs)
        self._source, self.load = source, load

    @property
    def number(self) -> int:
        """Number of the load. Raises AirflowFailException if `read` left none."""
        if not self.load.isdigit():
            raise AirflowFailException("there is no load to decide on: see the task `read`")
        return int(self.load)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        from moat.errors import DecisionRefused
        from moat.ledger import approvals, documents
        from moat.stages.listed_again import keep_listed

        release, by, reason = self.answered(context, event)
        with open_runtime() as runtime:
            load, again = runtime.load(self.number), ""
            if release and approvals.may_decide(runtime.settings, by):
                listed = keep_listed(runtime, self._source, self.number)
                if listed is not None and listed.told:
                    log.warning("load %s of %s: %s", load.id, load.source, listed.told)
            try:
                if load.state == "held" and not reason:
                    raise DecisionRefused("an answer needs its reason")
                if load.state != "open" or not release:  # else the command line has released it
                    decide = approvals.release_load if release else approvals.reject_load
                    load = decide(runtime.ledger, runtime.settings, self.number, by, reason)
            except DecisionRefused as error:
                again = str(error)
            visible = documents.count_visible(runtime.ledger, load.source)
            if not again and load.state != "held":
                did = "rejected" if load.state == "rejected" else "released"
                note_run(
                    runtime, context, f"load {load.id} was {did} by {load.decided_by or load.budget_by or by}: {reason}"
                )
        if load.state == "rejected":
            because = f", because: {load.reason}" if load.reason else ""
            raise AirflowFailException(
                f"load {load.id} of {load.source} was rejected by {load.decided_by}{because}; nothing of it is visible, and "
                f"{visible:,} documents of earlier loads stay visible"
            )
        if again or load.state == "held":
            self.ask_again(context, again or f"load {load.id} of {load.source} waits for a second person beside {by}")
        log.info("load %s of %s was released by %s", load.id, load.source, by)


class DecideBudget(_AsksAboutLoad):
    """Holds a load over its budget for a person, before anything is embedded."""

    def execute(self, context: Context) -> Any:
        from moat.ledger import documents
        from moat.stages.budget import judge, report

        with open_runtime() as runtime:
            judge(runtime, self._source, self.number)
            load = runtime.load(self.number)
            if load.state != "held":
                return None
            self.subject = f"Load {load.id} of {load.source} is over its budget"
            self.body = report(load, load.reason or "", documents.count_visible(runtime.ledger, load.source))
            self.ask(runtime, context, either(load.id))
        return super().execute(context)


class Decide(_AsksAboutLoad):
    """Passes, holds or blocks a load by the gate's recorded verdict."""

    def execute(self, context: Context) -> Any:
        from moat.checks.verdict import verdict
        from moat.errors import GateBlocked
        from moat.ledger import loads
        from moat.stages.gate import decide, question, report_path

        number = self.number
        with open_runtime() as runtime:
            found = verdict(runtime, number)
            if found.unjudged:
                raise AirflowFailException(
                    f"load {number} of {self._source.name} is not judged, {', '.join(found.unjudged)} did not run: clear the "
                    f"failed tasks before this one and they go on, or `moat reject {number}`"
                )
            decide(runtime, self._source, number)
            where = report_path(runtime.load(number))
            text = runtime.staging.read_bytes(where).decode()
            context["ti"].xcom_push(key="report", value=text)
            context["ti"].xcom_push(key="report_uri", value=runtime.staging.at(where))
            if found.outcome == "block":
                note_run(runtime, context, f"load {number} is blocked. {found.reason}")
                loads.reject(runtime.ledger, number, "gate", found.reason)
                raise GateBlocked(f"load {number} of {self._source.name} is blocked: {found.reason}")
            if found.outcome == "pass" or runtime.load(number).decided_by:
                return None
            self.subject, self.body = question(runtime, runtime.load(number), found)
            self.ask(runtime, context, either(number))
        return super().execute(context)


class DecideHold(_Asks):
    """Asks a person about a held access change, and applies it on release."""

    template_fields = (*HITLOperator.template_fields, "hold")

    def __init__(self, *, hold: str, **kwargs: Any) -> None:
        super().__init__(subject="A change of access is held", **kwargs)
        self.hold = hold

    def execute(self, context: Context) -> Any:
        from moat.ledger import holds
        from moat.links import page
        from moat.maintenance.access_sync import report, title

        with open_runtime() as runtime:
            found = holds.get(runtime.ledger, int(self.hold))
            if found.state != "waiting":
                log.info("hold %s is %s already", found.id, found.state)
                return None
            shown = f"What waits, and which documents the most people read: [access]({page('', 'access')})."
            self.subject, self.body = title(found), f"{report(found)}\n\n{shown}"
            self.ask(runtime, context, either(found.id, "moat access "))
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        from moat.errors import DecisionRefused
        from moat.ledger import holds
        from moat.maintenance.access_sync import settle

        release, by, reason = self.answered(context, event)
        with open_runtime() as runtime:
            found, again = holds.get(runtime.ledger, int(self.hold)), ""
            if found.state in ("released", "over"):
                log.info("hold %s is %s already", found.id, found.state)
                return
            try:
                if not reason and found.state == "waiting":
                    raise DecisionRefused("an answer needs its reason")
                found = settle(runtime, found.id, release, by, reason)
            except DecisionRefused as error:
                again = str(error)
        if again or (release and found.state != "released"):
            self.ask_again(context, again or f"hold {found.id} waits for a second person beside {by}")


def late(source: str, hours: float, **context: Any) -> None:
    """Report a missed deadline as an incident.

    Opens one, or joins the one that delays the run. Runs in the executor without the task's context, so
    it only has the source's name.
    """
    from moat.errors import MoatError
    from moat.incidents.lifecycle import late as noticed_late

    message = f"its load is not promoted {hours:g} hours after its run was created"
    log.error("source %s: %s; see its DAG's newest run", source, message)
    try:
        with open_runtime() as runtime:
            noticed_late(runtime, source, message)
    except MoatError as error:
        log.warning("no incident is recorded: %s", error)
