"""A sealed message is read by who has the key, for the request that it answers, and by nobody else."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from moat.embedding.sealed import Message, seal, unseal


@given(key=st.text(min_size=1), head=st.dictionaries(st.text(), st.text()), body=st.binary(max_size=2000))
def test_what_is_sealed_is_read_as_it_was(key: str, head: dict[str, str], body: bytes) -> None:
    sealed = seal(key, "request", Message(head, body))
    opened = unseal(key, "request", sealed)
    assert (opened.head, opened.body) == (head, body)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_changed_bit_is_noticed(at: int, bit: int) -> None:
    sealed = bytearray(seal("key", "request", Message({"path": "/"}, b"text")))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(ValueError, match="not made with this key"):
        unseal("key", "request", bytes(sealed))


def test_another_key_direction_or_request_opens_nothing() -> None:
    asked, other = (seal("key", "request", Message({}, b"text")) for _ in range(2))
    answer = seal("key", "answer", Message({}, b"vectors"), asked)
    assert unseal("key", "answer", answer, asked).body == b"vectors"
    for key, direction, content, answering in (
        ("kez", "answer", answer, asked),
        ("key", "request", answer, asked),
        ("key", "answer", answer, other),
        ("key", "answer", asked, b""),
        ("key", "answer", answer[:20], asked),
        ("key", "answer", b"", asked),
    ):
        with pytest.raises(ValueError, match="not made with this key"):
            unseal(key, direction, content, answering)  # type: ignore[arg-type]


def test_equal_messages_look_different_each_time_and_show_nothing() -> None:
    made = {seal("key", "request", Message({"path": "/v1/embeddings"}, b"a secret text")) for _ in range(50)}
    assert len({sealed[:32] for sealed in made}) == 50
    assert not any(b"secret" in sealed or b"embeddings" in sealed for sealed in made)
