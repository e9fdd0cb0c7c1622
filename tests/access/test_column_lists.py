"""Principals in columns and tags: every usual form of a list is read, and what cannot be read is unknown."""

from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moat.access.policy import Access, Policy
from moat.access.rules import Columns, Facts, Groups, ObjectTags

TEMP, EVE = "user:temp@example.com", "user:eve@example.com"
GUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def of_row(value: object, without: object = None, **rule: str) -> Access:
    judged = Columns(**{"allow": "readers", "deny": "without", **rule}).judge(lambda path: None)  # type: ignore[arg-type]
    return judged(Facts("row", columns={"readers": value, "without": without}))


def of_object(readers: str, without: str = "", **rule: str) -> Access:
    judged = ObjectTags(**{"allow": "readers", "deny": "without", **rule}).judge(lambda path: None)  # type: ignore[arg-type]
    return judged(Facts("object", tags={"readers": readers, "without": without}))


LISTS: dict[str, object] = {
    "separated by comma": f"{TEMP},{EVE}",
    "separated by semicolon": f"{TEMP}; {EVE}",
    "separated by both": f"{TEMP},{EVE};{TEMP}",
    "JSON text": f'["{TEMP}", "{EVE}"]',
    "JSON text of one line each": f'[\n  "{TEMP}",\n  "{EVE}"\n]',
    "a JSON text inside a JSON text, as of VARIANT": f'"{TEMP},{EVE}"',
    "an array of PostgreSQL as text": f"{{{TEMP},{EVE}}}",
    "an array of PostgreSQL with quotes": f'{{"{TEMP}",{EVE}}}',
    "a list": [TEMP, EVE],
    "a tuple": (TEMP, EVE),
    "a set": {TEMP, EVE},
    "an array of numpy": np.array([TEMP, EVE]),
    "another case of the kinds": "User:temp@example.com,USER:eve@example.com",
}


@pytest.mark.parametrize("value", LISTS.values(), ids=LISTS)
def test_every_usual_form_of_a_list_is_read_in_allow_and_in_deny(value: object) -> None:
    assert of_row(value).policy == Policy.of([TEMP, EVE])
    assert of_row("staff", value).policy == Policy.of(["group:staff"], deny=[TEMP, EVE])


UNREADABLE: dict[str, object] = {
    "half a JSON text": f'["{TEMP}", ',
    "JSON text with a number": f'["{TEMP}", 1.5]',
    "JSON text with true": "[true]",
    "JSON text with null": f'["{TEMP}", null]',
    "JSON text with an empty text": f'["{TEMP}", ""]',
    "a list in a JSON text": f'[["{TEMP}"]]',
    "an object in a JSON text": f'[{{"user": "{TEMP}"}}]',
    "a JSON object": f'{{"user": "{TEMP}"}}',
    "a very deep JSON text": "[" * 50_000,
    "a list in an array of PostgreSQL": f"{{{{{TEMP}}},{{{EVE}}}}}",
    "NULL in an array of PostgreSQL": f"{{{TEMP},NULL}}",
    "half an array of PostgreSQL": f"{{{TEMP}",
    "a text that says null": "null",
    "a text that says NULL": "NULL",
    "quoted": f"'{TEMP}'",
    "quoted and separated": f"'{TEMP}','{EVE}'",
    "one quote": f'{TEMP}"',
    "in round brackets": f"({TEMP})",
    "in round brackets, separated": f"({TEMP},{EVE})",
    "in angle brackets": f"<{TEMP}>",
    "with a name": f"Temp <{TEMP}>",
    "separated by white space": f"{TEMP} {EVE}",
    "separated by a line": f"{TEMP}\n{EVE}",
    "separated by a bar": f"{TEMP}|{EVE}",
    "a separator at the end": f"{TEMP},",
    "a pattern": "user:*@example.com",
    "an unknown kind": "role:admin",
    "a kind that is misspelt": "usr:temp@example.com",
    "another scheme": "mailto:temp@example.com",
    "a GUID in braces, which is an id or an array": f"{{{GUID}}}",
    "an LDAP name, which the separator would cut": "cn=hr,ou=groups,dc=example",
    "a number with a point": 7.0,
    "a truth value": True,
    "a number without end": 10**5_000,
    "a decimal without end": Decimal("1e1000000"),
    "a decimal that is no number": Decimal("nan"),
    "a list with a number without end": [TEMP, 10**5_000],
    "JSON text with a number without end": f"[{'7' * 5_000}]",
    "a list with a truth value": [TEMP, False],
    "a list with a number with a point": [7.5],
    "a list in a list": [[TEMP], [EVE]],
    "a list of mappings": [{"user": TEMP}],
    "a list of bytes": [TEMP.encode()],
    "a list with an empty text": [TEMP, " "],
    "a list with a list written as text": [f"{TEMP},{EVE}"],
    "a list with JSON text": [f'["{TEMP}"]'],
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_principal_makes_the_row_unknown_in_allow_and_in_deny(value: object) -> None:
    for access in (of_row(value), of_row("staff", value)):
        assert access.policy is None, access.policy
        assert 0 < len(access.reason) < 500


def test_a_column_that_allows_and_denies_gives_nobody_access() -> None:
    assert of_row(TEMP, deny="readers").policy == Policy.of([])


def test_public_in_a_deny_denies_nobody_so_it_is_unknown() -> None:
    assert of_row("staff", "public").policy is None
    assert of_object("staff", "Public").policy is None
    assert Groups(allow=("staff",), deny=("public",)).wrong()


@pytest.mark.parametrize(
    ("value", "group"),
    [
        (GUID, GUID),
        (UUID(GUID), GUID),
        (7, "7"),
        (np.int64(7), "7"),
        (Decimal("7"), "7"),
        ("okta/00g1a2b3", "okta/00g1a2b3"),
        ("people-team", "people-team"),
        ("group:urn:mace:example:hr", "urn:mace:example:hr"),
        ("CORP\\hr", "corp\\hr"),
        ("s-1-5-21-1004", "s-1-5-21-1004"),
        ("o'brien", "o'brien"),
        (["cn=hr,ou=groups,dc=example"], "cn=hr,ou=groups,dc=example"),
        ('["group:ad/cn=hr,ou=groups,dc=example"]', "ad/cn=hr,ou=groups,dc=example"),
    ],
)
def test_ids_of_the_usual_directories_are_read(value: object, group: str) -> None:
    assert of_row(value).policy == Policy.of([f"group:{group}"])


def test_an_ldap_name_is_read_whole_with_a_separator_of_its_own() -> None:
    found = of_row("cn=hr,ou=groups|cn=it,ou=groups", separator="|").policy
    assert found == Policy.of(["group:cn=hr,ou=groups", "group:cn=it,ou=groups"])


@pytest.mark.parametrize("value", [f"{TEMP};{EVE}", f"{TEMP},{EVE}", f"{TEMP}|{EVE},"])
def test_a_separator_that_is_declared_is_the_only_one(value: str) -> None:
    assert of_row(value, separator="|").policy is None
    assert of_object(value, separator="|").policy is None


@pytest.mark.parametrize("empty", ["[]", "{}", [], ()])
def test_an_empty_list_is_nobody_and_denies_nobody(empty: object) -> None:
    assert of_row(empty).policy == Policy.of([])
    assert of_row("staff", empty).policy == Policy.of(["group:staff"])


@pytest.mark.parametrize(
    "value", [f"{TEMP} {EVE}", f"{TEMP},{EVE}", f"{TEMP};{EVE}", f"{TEMP}, {EVE}", f'["{TEMP}","{EVE}"]']
)
def test_lists_in_tags_are_read_in_allow_and_in_deny(value: str) -> None:
    assert of_object(value).policy == Policy.of([TEMP, EVE])
    assert of_object("staff", value).policy == Policy.of(["group:staff"], deny=[TEMP, EVE])


@pytest.mark.parametrize("value", [f"'{TEMP}'", f"usr:{TEMP}", f"{TEMP}  {EVE}", f"<{TEMP}>", '["a'])
def test_what_is_no_principal_in_a_tag_makes_the_object_unknown(value: str) -> None:
    assert of_object(value).policy is None
    assert of_object("staff", value).policy is None


@settings(deadline=None)
@given(st.text(max_size=40) | st.lists(st.text(max_size=10), max_size=4))
def test_a_deny_is_read_as_allow_is_or_unknown(value: object) -> None:
    allow, deny = of_row(value).policy, of_row("group:x-staff", value).policy
    if value != "" and (not isinstance(value, str) or value.strip().lower() != "public"):
        assert (allow is None) == (deny is None)
    if allow is not None and deny is not None and not allow.nobody and frozenset(["group:x-staff"]) not in allow.layers:
        assert deny.deny == allow.layers[0] or deny.nobody
