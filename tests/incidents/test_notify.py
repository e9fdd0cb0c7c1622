"""People are told of an incident once, and again when it is another; whatever fails, no load does."""

import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from moat.connections import Connection
from moat.errors import SettingsError
from moat.incidents.notify import tell
from moat.ledger import Ledger, incidents
from moat.ledger.incidents import Incident
from moat.settings import Settings
from tests.incidents.conftest import CAUSE, opened
from tests.incidents.servers import Hook, Mailbox, text_of

ALL = "smtp:mail,slack:chat,webhook:pager"


def test_everyone_is_told_what_why_how_far_and_what_to_do(
    telling: Any,
    incident: Incident,
    mail: Connection,
    chat: Connection,
    pager: Connection,
    mailbox: Mailbox,
    hook: Hook,
) -> None:
    runtime, lines = telling(ALL, mail, chat, pager)
    assert tell(runtime, incident)
    (letter,) = mailbox.mails
    assert letter["subject"] == "[Moat] block: tickets, gate: Rows have lost their text"
    assert mailbox.envelopes == [("moat@example.com", "ann@example.com", "hugo@example.com")]
    assert mailbox.logins == [("moat", "hush-mail-key")]
    for words in (
        "The column `body` is called `text` now (93%)",
        "412 of 412 rows have no body",
        "412 documents, 0 chunks, 12 people",
        "moat load show 7",
        "http://airflow.example.com:8080/dags/tickets/runs/scheduled__2026-05-04T02%3A00%3A00%2B00%3A00",
        f"http://airflow.example.com:8080/plugin/moat?view=incident&incident={incident.id}",
    ):
        assert words in text_of(letter)
    by_path = {call.path: call for call in hook.calls}
    chatted = json.loads(by_path["/services/T0/B0/hush-chat-key"].body)
    assert set(chatted) == {"text", "blocks"}
    assert chatted["text"] == letter["subject"]
    assert "The column `body`" in chatted["blocks"][1]["text"]["text"]
    told = json.loads(by_path["/in"].body)
    assert (told["id"], told["source"], told["stage"], told["severity"]) == (incident.id, "tickets", "gate", "block")
    assert told["causes"][0]["name"] == "column_renamed"
    assert lines[-1].endswith("told through 3 of 3 channels")


def test_a_webhook_can_prove_that_the_message_is_ours(
    telling: Any, incident: Incident, pager: Connection, hook: Hook
) -> None:
    runtime, _ = telling("webhook:pager", pager)
    assert tell(runtime, incident)
    (call,) = hook.calls
    signed = call.headers["x-moat-timestamp"].encode() + b"." + call.body
    wanted = hmac.new(b"hush-pager-key", signed, hashlib.sha256).hexdigest()
    assert call.headers["x-moat-signature"] == f"sha256={wanted}"


def test_an_incident_is_told_once_and_again_only_when_it_has_become_another(
    telling: Any, ledger: Ledger, pager: Connection, hook: Hook
) -> None:
    runtime, _ = telling("webhook:pager", pager)
    first = opened(ledger, "hold")
    assert tell(runtime, first)
    assert not tell(runtime, opened(ledger, "hold")), "one more of the same"
    assert not tell(runtime, opened(ledger, "hold", commands=["moat loads"], reach={})), (
        "another detail is no other incident"
    )
    assert tell(runtime, opened(ledger, "block")), "it has become worse"
    assert tell(runtime, opened(ledger, "block", [{**CAUSE, "name": "endpoint_down"}])), "it is something else"
    taken = incidents.acknowledge(ledger, first.id, "ann", "mine")
    assert tell(runtime, taken)
    assert not tell(runtime, taken)
    assert tell(runtime, incidents.resolve(ledger, first.id, "ann", "renamed back"))
    said = [json.loads(call.body) for call in hook.calls]
    assert [one["state"] for one in said] == ["open", "open", "open", "acknowledged", "resolved"]
    assert said[-1]["because"] == "renamed back"
    assert incidents.get(ledger, first.id).n_told == 5


def test_what_a_stale_caller_holds_is_not_told_again(
    telling: Any, ledger: Ledger, pager: Connection, hook: Hook
) -> None:
    runtime, _ = telling("webhook:pager", pager)
    stale, fresh = opened(ledger, "hold"), opened(ledger, "block")
    assert tell(runtime, fresh)
    assert not tell(runtime, stale)
    assert [json.loads(call.body)["severity"] for call in hook.calls] == ["block"]


def test_five_hundred_who_fail_at_once_give_one_message(
    telling: Any, incident: Incident, pager: Connection, hook: Hook
) -> None:
    runtime, _ = telling("webhook:pager", pager)
    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(lambda _: tell(runtime, incident), range(500)))
    assert told.count(True) == 1
    assert len(hook.calls) == 1


@pytest.mark.parametrize("answers", [[503, 503, 503], [404], [400]])
def test_who_could_not_be_told_is_told_by_the_next_event(
    answers: list[int], telling: Any, ledger: Ledger, incident: Incident, pager: Connection, hook: Hook
) -> None:
    runtime, lines = telling("webhook:pager", pager)
    hook.answers = list(answers)
    assert not tell(runtime, incident)
    assert len(hook.calls) == len(answers), "what passes is tried again at once, what is refused is not"
    assert "webhook:pager was not told: TellingFailed" in " ".join(lines)
    assert incidents.get(ledger, incident.id).n_told == 0
    assert tell(runtime, incident)
    assert incidents.get(ledger, incident.id).n_told == 1


def test_a_mail_server_that_is_busy_for_a_moment_is_asked_again(
    telling: Any, incident: Incident, mail: Connection, mailbox: Mailbox
) -> None:
    runtime, _ = telling("smtp:mail", mail)
    mailbox.answers = ["451 greylisted"]
    assert tell(runtime, incident)
    assert len(mailbox.mails) == 1


def test_a_mail_server_that_refuses_is_not_asked_again(
    telling: Any, incident: Incident, mail: Connection, mailbox: Mailbox
) -> None:
    runtime, lines = telling("smtp:mail", mail)
    mailbox.answers = ["550 never"] * 3
    assert not tell(runtime, incident)
    assert mailbox.n_calls == 1
    assert "refuses the message: 550" in " ".join(lines)


def test_one_dead_channel_keeps_no_other_quiet_and_makes_none_speak_twice(
    telling: Any, incident: Incident, mail: Connection, hook: Hook, mailbox: Mailbox
) -> None:
    dead = Connection(conn_id="dead", conn_type="http", host="http://127.0.0.1:1")
    runtime, lines = telling("webhook:dead,webhook:nobody,smtp:mail", dead, mail)
    assert tell(runtime, incident)
    assert not tell(runtime, incident)
    assert len(mailbox.mails) == 1
    logged = " ".join(lines)
    assert "webhook:dead was not told" in logged
    assert "webhook:nobody was not told: SettingsError" in logged


def test_a_broken_ledger_or_a_defect_of_ours_raises_nothing(
    telling: Any, incident: Incident, ledger: Ledger, pager: Connection, hook: Hook
) -> None:
    runtime, lines = telling("webhook:pager", pager)
    broken = incidents.explained(ledger, incident.id, "x", {"causes": "no list of causes at all"})
    assert not tell(runtime, broken)
    assert "were not told: AttributeError" in lines[-1]
    assert incidents.get(ledger, incident.id).told is None
    lost = Ledger("sqlite:////nowhere/at/all.db", "default")
    assert not tell(replace(runtime, ledger=lost), incident)
    assert hook.calls == []


def test_without_a_channel_it_stands_in_the_log_and_stays_to_be_told(
    telling: Any, ledger: Ledger, incident: Incident
) -> None:
    runtime, lines = telling("")
    assert not tell(runtime, incident)
    assert lines == ["[Moat] block: tickets, gate: Rows have lost their text"]
    assert incidents.get(ledger, incident.id).told is None


def test_no_secret_and_no_document_leaves_with_a_message(
    telling: Any, ledger: Ledger, mail: Connection, chat: Connection, pager: Connection, mailbox: Mailbox, hook: Hook
) -> None:
    evidence = [
        "postgresql://moat:hush-db@db:5432/moat did not answer",
        "401 for Authorization: Bearer hush.bearer.token-1",
        "api_key='hush-quoted key' was refused, password: hush-plain",
        "(psycopg2.DataError) bad row\n[SQL: INSERT INTO chunk VALUES (?)]\n[parameters: ('hush document text',)]",
        "posted to https://hooks.slack.com/services/T0/hush/hush",
        "key hush-pager-key and hush-writer-key",
        "cannot parse 'hush: a crane driver earns four thousand a month, said the people team in their letter of May'",
    ]
    causes = [{**CAUSE, "name": f"c{n}", "title": one, "evidence": evidence[n:]} for n, one in enumerate(evidence[:3])]
    causes[0]["evidence"], causes[1]["evidence"] = evidence[:4], evidence[3:]
    found = opened(ledger, "block", causes, commands=["curl -H 'X-Api-Key: hush-command'"], reach={"x": evidence[0]})
    found = incidents.explained(ledger, found.id, "AKIA" + "ABCDEFGHIJKLMNOP was refused", found.detail)
    runtime, lines = telling(ALL, mail, chat, pager, weaviate_writer_key="hush-writer-key")
    assert tell(runtime, found)
    bodies = [call.body.decode() for call in hook.calls] + [text_of(one) for one in mailbox.mails]
    assert len(bodies) == 3
    for body in [*bodies, *lines, *(str(one["subject"]) for one in mailbox.mails)]:
        assert "hush" not in body
        assert "AKIA" not in body
        assert "crane" not in body
    assert all("bad row" in body for body in bodies), "what is left still says what is wrong"


def test_tokens_that_are_counted_are_no_secrets(telling: Any, ledger: Ledger, pager: Connection, hook: Hook) -> None:
    runtime, _ = telling("webhook:pager", pager)
    assert tell(
        runtime, opened(ledger, "block", [{**CAUSE, "evidence": ["tokens: 812, allowed: 256", "secrets: AWSKey=3"]}])
    )
    (cause,) = json.loads(hook.calls[0].body)["causes"]
    assert cause["evidence"] == ["tokens: 812, allowed: 256", "secrets: AWSKey=3"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"MOAT_TELL": "mail:x"}, "write smtp:CONNECTION"),
        ({"MOAT_TELL": "smtp:mail"}, "MOAT_TELL names smtp"),
        ({"MOAT_TELL": "slack:a,webhook"}, "webhook: write smtp:CONNECTION"),
    ],
)
def test_a_misspelt_channel_is_known_before_the_first_incident(
    given: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=words):
        Settings.load()
