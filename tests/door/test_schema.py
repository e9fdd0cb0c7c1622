"""The OpenAPI document holds: whatever is sent, the answer is one that it describes, and nothing fails inside."""

import json
from functools import cache
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.issuer import Issuer

ROUTES = ("search", "page", "get", "read", "count", "aggregate", "feedback", "explain")
TEXTS = st.sampled_from(
    ["crane", "docs", "payroll", "cranes/01 a.md", "2026-07-01", "soon", "", "\x00", "\U0001f600" * 9, "\ud83d"]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2_000) | st.floats(allow_nan=False) | TEXTS | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = ("question", "limit", "mode", "filters", "group_by", "cursor", "chunk_ids", "source", "key", "first", "by", "asker",
         "chunk_id", "verdict", "why")  # fmt: skip
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "question": TEXTS,
    "limit": st.integers(1, 50),
    "mode": st.sampled_from(["keyword", "vector", "hybrid"]),
    "filters": st.dictionaries(st.sampled_from(["source", "kind", "language", "modified", "team"]), ODD, max_size=2),
    "chunk_ids": st.lists(TEXTS, max_size=3),
    "source": TEXTS,
    "key": TEXTS,
    "by": st.sampled_from(["source", "kind", "team", "modified"]),
    "asker": st.sampled_from(["user:ann@example.com", "nobody", "group:x"]),
    "chunk_id": TEXTS,
    "verdict": st.sampled_from(["up", "down"]),
}
NEEDED = {
    "search": ("question",),
    "page": ("question",),
    "get": ("chunk_ids",),
    "read": ("source", "key"),
    "aggregate": ("by",),
    "feedback": ("chunk_id", "verdict"),
    "explain": ("source", "key", "asker"),
}


@st.composite
def bodies(draw: st.DrawFn, route: str) -> Any:
    """Mostly what a route takes, with something odd in it."""
    body = {name: draw(RIGHT[name]) for name in NEEDED.get(route, ())}
    body |= draw(st.dictionaries(st.sampled_from(NAMES), ODD | st.sampled_from(NAMES), max_size=2))
    return draw(st.sampled_from([body, body, body, draw(ODD)]))


@pytest.mark.parametrize("route", ROUTES)
def test_every_answer_is_one_that_the_document_describes(route: str, url: str, issuer: Issuer) -> None:
    headers = {"authorization": f"Bearer {issuer.token('ann@example.com')}", "content-type": "application/json"}
    with httpx.Client(base_url=url, timeout=60, headers=headers) as http:
        document = http.get("/openapi.json").json()
        responses = document["paths"][f"/v1/{route}"]["post"]["responses"]

        @cache
        def validator(status: str, kind: str) -> Any:
            schema = {**responses[status]["content"][kind]["schema"], "components": document["components"]}
            return jsonschema.Draft202012Validator(schema)

        seen = set()

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(bodies(route))
        def holds(body: Any) -> None:
            answer = http.post(f"/v1/{route}", content=json.dumps(body))
            assert answer.status_code < 500, answer.text
            validator(str(answer.status_code), answer.headers["content-type"]).validate(answer.json())
            seen.add(answer.status_code)

        holds()
    assert seen - {422}, "something was answered, or refused for what it asks"
