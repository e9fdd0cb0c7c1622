"""Fusion: the hits of two searches as one list."""

import pytest

from moat.index.fusion import LOOKUP, QUESTION, fuse, vector_weight

VECTOR = [("a", 0.9), ("b", 0.5), ("c", 0.4)]
KEYWORD = [("c", 12.0), ("d", 6.0), ("b", 2.0)]


def test_scores_of_both_lists_are_added_from_their_best_to_their_last() -> None:
    assert fuse(VECTOR, KEYWORD, 0.5, 10) == [("a", 0.5), ("c", 0.5), ("d", 0.2), ("b", pytest.approx(0.1))]
    assert [identity for identity, _ in fuse(VECTOR, KEYWORD, 0.1, 2)] == ["c", "d"]


def test_one_list_alone_keeps_its_order() -> None:
    assert [identity for identity, _ in fuse(VECTOR, [], 0.5, 10)] == ["a", "b", "c"]
    assert [identity for identity, _ in fuse([], KEYWORD, 0.5, 10)] == ["c", "d", "b"]
    assert fuse([], [], 0.5, 10) == []
    assert fuse([("a", 0.3), ("b", 0.3)], [], 0.5, 10) == [("a", 0.5), ("b", 0.5)]


@pytest.mark.parametrize(
    "question",
    ["IT", "travel rates", "Zugbrücke", "住宿费", "Which post is 69007371?", "Where is INV-2024-001 now, please?"],
)
def test_one_who_looks_something_up_is_answered_by_words(question: str) -> None:
    assert vector_weight(question) == LOOKUP


@pytest.mark.parametrize(
    "question",
    [
        "How long is parental leave?",
        "What did the plan of 2024 cost the port?",
        "住宿费的上限是多少，发票要交给哪个部门？",
    ],
)
def test_a_whole_question_is_answered_by_both(question: str) -> None:
    assert vector_weight(question) == QUESTION
