"""Airflow's callbacks open, join and end incidents, and people are told once whoever notices how often."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import moat_notifiers
import moat_tasks
import pytest
from airflow.sdk import DAG
from moat_notifiers import MailNotifier, SlackNotifier, WebhookNotifier, access_ended, went_wrong

from moat.errors import AccessNotRead, SettingsError, SourceUnavailable
from moat.ledger import Ledger, incidents
from tests.incidents.servers import Hook, Mailbox, text_of


@pytest.fixture
def airflow(
    ledger: Ledger, settings: Any, hook: Hook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """A function that makes a callback's context; settings and connections come as Airflow's components have them."""
    known = {
        "PAGER": {"conn_type": "http", "host": hook.url, "password": "hush-pager"},
        "CHAT": {"conn_type": "slackwebhook", "host": f"{hook.url}/services", "password": "T0/hush-chat"},
        "MAIL": {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": mailbox.port,
            "extra": {"from_email": "moat@example.com", "disable_ssl": True, "disable_tls": True},
        },
    }
    for name, body in known.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(body))
    monkeypatch.setenv("MOAT_HOME", str(settings.home))
    monkeypatch.delenv("MOAT_TELL", raising=False)

    def context(dag: str = "nightly", task: str = "export", run: str = "r1", error: Any = None, **more: Any) -> Any:
        state = "failed" if error is not None else "success"
        return {
            "dag": DAG(dag, schedule=None),
            "dag_run": SimpleNamespace(dag_id=dag, run_id=run, state="running"),
            "ti": SimpleNamespace(dag_id=dag, task_id=task, state=state),
            "task": SimpleNamespace(task_id=task),
            "run_id": run,
            **({"exception": error} if error is not None else {}),
            **more,
        }

    return context


def test_fifty_tasks_that_fail_of_one_thing_give_one_message(airflow: Any, ledger: Ledger, hook: Hook) -> None:
    notifier = WebhookNotifier("pager")
    for n in range(50):
        notifier.notify(airflow(task=f"export_{n % 5}", error=SourceUnavailable("the warehouse did not answer")))
    (one,) = incidents.listing(ledger)
    assert (one.source, one.severity, one.n_told) == ("nightly", "block", 1)
    assert sum(h.n for h in incidents.happenings(ledger, one.id)) == 50
    assert len(hook.calls) == 1
    assert b"hush" not in hook.calls[0].body


@pytest.mark.parametrize(
    ("notifier", "answer"),
    [
        (lambda: MailNotifier("mail", to=["oncall@example.com"]), "mail"),
        (lambda: SlackNotifier("chat"), "/services/T0/hush-chat"),
        (lambda: WebhookNotifier("pager"), "/"),
    ],
)
def test_each_notifier_tells_by_its_own_channel(
    notifier: Callable[[], Any], answer: str, airflow: Any, hook: Hook, mailbox: Mailbox
) -> None:
    made = notifier()
    made(airflow(error=SourceUnavailable("no answer")))  # as Airflow calls it, templates and all
    if answer == "mail":
        (mail,) = mailbox.mails
        assert mailbox.envelopes == [("moat@example.com", "oncall@example.com")]
        assert "nightly" in str(mail["subject"])
        assert text_of(mail)
    else:
        assert [call.path for call in hook.calls] == [answer]


def test_channels_of_the_settings_are_told_in_the_same_breath(
    airflow: Any, hook: Hook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOAT_TELL", "webhook:pager")
    MailNotifier("mail", to=["oncall@example.com"]).notify(airflow(error=SourceUnavailable("no answer")))
    assert (len(hook.calls), len(mailbox.mails)) == (1, 1)


def test_what_goes_well_again_ends_the_incident_and_says_so(airflow: Any, ledger: Ledger, hook: Hook) -> None:
    notifier = WebhookNotifier("pager")
    notifier.notify(airflow(error=SourceUnavailable("no answer")))
    notifier.notify(airflow(task="another", run="r2"))
    assert len(incidents.listing(ledger)) == 1, "another task proves nothing"
    notifier.notify(airflow(run="r2"))
    assert incidents.listing(ledger) == []
    assert [json.loads(call.body)["state"] for call in hook.calls] == ["open", "resolved"]


def test_a_missed_deadline_is_an_incident_without_any_context(airflow: Any, ledger: Ledger, hook: Hook) -> None:
    context = {"dag_run": {"dag_id": "nightly", "run_id": "r1", "state": "running"}, "deadline": {"id": "x"}}
    WebhookNotifier("pager")(context)
    (one,) = incidents.listing(ledger)
    assert (one.source, one.severity) == ("nightly", "warn")
    assert len(hook.calls) == 1


def test_a_load_that_is_late_is_told_once(airflow: Any, ledger: Ledger, hook: Hook, monkeypatch: Any) -> None:
    monkeypatch.setenv("MOAT_TELL", "webhook:pager")
    for _ in range(3):
        moat_tasks.late("tickets", 6.0, context={"dag_run": {}})
    (one,) = incidents.listing(ledger)
    assert (one.source, one.severity, one.n_told) == ("tickets", "warn", 1)
    assert len(hook.calls) == 1


def test_a_maintenance_task_that_fails_is_an_incident_of_its_source(airflow: Any, ledger: Ledger) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    went_wrong(airflow("reconcile", "compare", error=AirflowFailException("handbook does not agree")))
    assert {one.source: one.stage for one in incidents.listing(ledger)} == {"reconcile": "load"}


def test_each_source_that_access_sync_could_not_read_is_an_incident_of_its_own(airflow: Any, ledger: Ledger) -> None:
    first, last = airflow("sync_access", "access"), airflow("sync_access", "access")
    for n, context in enumerate((first, last), 1):
        context["ti"].try_number, context["ti"].max_tries = n, 1
    with moat_tasks.open_runtime() as runtime:
        access_ended(runtime, first, "handbook", SourceUnavailable("no answer"))
        access_ended(runtime, first, "tickets", SettingsError("no such connection"))
        assert [one.source for one in incidents.listing(ledger)] == ["tickets"], "the other one is tried again"
        access_ended(runtime, last, "handbook", SourceUnavailable("no answer"))
        went_wrong(airflow("sync_access", "access", error=AccessNotRead("access of 2 of 3 sources is not read")))
        assert {one.source: one.stage for one in incidents.listing(ledger)} == {"handbook": "read", "tickets": "read"}
        access_ended(runtime, airflow("sync_access", "access", run="r2"), "handbook", None)
    assert [one.source for one in incidents.listing(ledger)] == ["tickets"]


def test_no_callback_hides_the_tasks_own_error(
    airflow: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOAT_HOME", str(tmp_path / "nowhere"))
    WebhookNotifier("pager").notify(airflow(error=SourceUnavailable("no answer")))
    moat_tasks.late("tickets", 6.0)
    assert hook.calls == []
    assert set(moat_notifiers.WATCHED) == {"on_failure_callback", "on_success_callback"}
