"""What every embedder must keep: resident, endpoint and in-process alike."""

import numpy as np
import pytest

from moat.embedding.client import Embedder
from moat.embedding.limits import MOST_CHARACTERS, MOST_OF_A_QUESTION, REQUEST_BYTES
from moat.errors import ModelError

TEXTS = [
    "Parental leave is twenty weeks.",
    "How long can new parents stay at home?",
    "The crane lifts forty tonnes.",
    "x",
]


class EmbedderContract:
    """A subclass gives the fixture `embedder`."""

    def test_it_says_which_model_it_serves(self, embedder: Embedder) -> None:
        info = embedder.info()
        assert (info.dimensions, info.max_tokens) == (384, 256)
        assert info.model
        assert info.key

    def test_a_row_a_text_in_their_order_of_length_one(self, embedder: Embedder) -> None:
        vectors = embedder.embed(TEXTS)
        assert vectors.shape == (4, 384)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        again = embedder.embed(TEXTS[::-1])[::-1]
        assert np.allclose((vectors * again).sum(axis=1), 1, atol=1e-4)

    def test_texts_of_one_meaning_are_nearer_than_of_another(self, embedder: Embedder) -> None:
        leave, question, crane, _ = embedder.embed(TEXTS)
        assert leave @ question > leave @ crane + 0.2

    def test_no_texts_are_no_rows(self, embedder: Embedder) -> None:
        assert embedder.embed([]).shape == (0, 384)

    def test_a_batch_or_one_by_one_gives_the_same(self, embedder: Embedder) -> None:
        many = [f"Container {i} of the shipment to Gdansk, {'heavy ' * (i % 40)}" for i in range(160)]
        together = embedder.embed(many)
        assert together.shape == (160, 384)
        some = [0, 39, 80, 159]
        alone = np.concatenate([embedder.embed([many[i]]) for i in some])
        assert np.all((together[some] * alone).sum(axis=1) > 0.9999)

    def test_a_query_is_embedded_like_a_text(self, embedder: Embedder) -> None:
        assert np.allclose(embedder.embed(TEXTS[:1], "query"), embedder.embed(TEXTS[:1]), atol=1e-5)

    def test_texts_that_weigh_more_than_one_request_are_all_embedded(self, embedder: Embedder) -> None:
        word = "x" * 40_000  # one word to the model
        many = [f"{word} container {i}" for i in range(3 * REQUEST_BYTES // 40_000)]
        vectors = embedder.embed(many)
        assert vectors.shape == (len(many), 384)
        assert vectors[-1] @ embedder.embed(many[-1:])[0] > 0.9999

    def test_a_text_or_question_beyond_the_bound_is_refused_without_a_quote(self, embedder: Embedder) -> None:
        for priority, most in (("bulk", MOST_CHARACTERS), ("query", MOST_OF_A_QUESTION)):
            embedder.embed(["y" * most], priority)  # type: ignore[arg-type]
            with pytest.raises(ModelError, match=f"has {most + 1:,} characters, the embedder takes {most:,}") as error:
                embedder.embed(["fine", "y" * (most + 1)], priority)  # type: ignore[arg-type]
            assert "yyy" not in str(error.value)
