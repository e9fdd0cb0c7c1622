"""What turns texts into vectors in a process: a model on a device, in a precision that keeps its vectors.

On a CPU it is sentence-transformers as it is. On a GPU the model runs in half precision, without padding where its
form allows; at the start its vectors are compared with those of float32, and where they differ it stays in float32.
"""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from moat.embedding.model import ModelInfo, TokenCounter, max_tokens_of, revision_of
from moat.embedding.packed import PackedEncoder, Packing

CPU_BUDGET, GPU_BUDGET = 2_048, 65_536  # tokens of one forward pass; on a CPU, what fits its cache is fastest
LEAST_COSINE = 0.9999  # between a text's vectors in half precision and in float32
# Short and long, of several writings, with numbers and marks; the last is longer than most models take.
PROBES = (
    "x",
    "parental leave",
    "How long can new parents stay at home?",
    "The crane lifts forty tonnes.",
    "INVOICE No. 2024-00117, 14 March 2024: 3 × 1,249.50 € = 3,748.50 €",
    "Die Kündigungsfrist beträgt drei Monate zum Quartalsende, sofern nichts anderes vereinbart ist.",
    "Le congé parental dure vingt semaines ; il peut être fractionné.",
    "育児休業は二十週間です。",
    "Отпуск по уходу за ребёнком длится двадцать недель.",
    "def total(rows):\n    return sum(row['amount'] for row in rows if row['state'] != 'void')",
    "| crane | load, t | reach, m |\n| --- | --- | --- |\n| LR 1300 | 300 | 46 |\n| LTM 1060 | 60 | 48 |",
    "Travel › Expenses\n" + "Receipts are handed in within thirty days, and each names who was there. " * 6,
    "Safety › Cranes\n" + "No load passes above people, and wind above 12 m/s ends the lift. " * 12,
    "Contracts\n" + "Section 4 holds unless both sides agree otherwise in writing; see Annex B. " * 60,
)

log = logging.getLogger("moat.embedder")


class Encoder(Protocol):
    """Turns texts into vectors in two steps, so that texts are read while a forward pass runs."""

    model: Any
    precision: str
    faithful: bool  # its vectors are those of float32
    packing: Packing

    def read(self, texts: Sequence[str]) -> tuple[list[Any], list[int]]:
        """What `vectors` takes of each text, and its number of tokens, special ones included."""
        ...

    def vectors(self, items: Sequence[Any]) -> np.ndarray:
        """Make float32 vectors in one forward pass: shape (texts, dimensions)."""
        ...


class PaddedEncoder:
    """sentence-transformers as it is: it reads texts itself and pads them to the longest."""

    packing: Packing = "padded"
    faithful = True

    def __init__(self, model: Any, tokens: TokenCounter, precision: str) -> None:
        self.model, self.precision, self._tokens = model, precision, tokens

    def read(self, texts: Sequence[str]) -> tuple[list[str], list[int]]:
        return list(texts), [n + self._tokens.special for n in self._tokens.lengths(texts)]

    def vectors(self, items: Sequence[str]) -> np.ndarray:
        made = self.model.encode(list(items), batch_size=len(items), convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(made, "<f4")


def load_model(folder: str, device: str) -> Any:
    """Load a sentence-transformers model on a device, in float32."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # set-up downloaded the model; nothing is fetched at run time
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device=None if device == "auto" else device)
    model.to(torch.float32)
    model.eval()
    return model


def open_encoder(folder: Path, device: str, precision: str, tokens: TokenCounter) -> Encoder:
    """Load a model, in the precision asked for.

    `auto` is float32 on a CPU. On a GPU it is float16 where the vectors stay those of float32, and float32 where not,
    with a line in the log. A precision that is named is obeyed.
    """
    model = load_model(str(folder), device)
    if model.device.type == "cuda":
        return checked(model, lambda: load_model(str(folder), device), precision, tokens)
    if precision not in ("auto", "float32"):
        return PaddedEncoder(_cast(model, precision), tokens, precision)
    return PaddedEncoder(model, tokens, "float32")


def checked(model: Any, again: Callable[[], Any], precision: str, tokens: TokenCounter) -> Encoder:
    """Bring a model to half precision, and back to what `again` loads if its vectors change by that."""
    if precision == "float32":
        return PaddedEncoder(model, tokens, "float32")
    made, cosine = in_half(model, "float16" if precision == "auto" else precision, tokens)
    if cosine >= LEAST_COSINE:
        return made
    told = f"in {made.precision} the model has not the vectors of float32: least cosine {cosine:.5f}, {LEAST_COSINE} is asked for"
    if precision != "auto":
        log.warning("%s; MOAT_EMBEDDER_PRECISION says so, and its vectors are filed as another model's", told)
        made.faithful = False
        return made
    log.warning("%s; it runs in float32, which is slower", told)
    return PaddedEncoder(again(), tokens, "float32")


def in_half(model: Any, precision: str, tokens: TokenCounter) -> tuple[Encoder, float]:
    """Bring a model in float32 to half precision.

    Returns:
        The fastest encoder whose vectors are those of float32, or else the one that comes nearest; and its least
        cosine over the probes, -1 where a vector is not finite.
    """
    truth = PaddedEncoder(model, tokens, "float32").vectors(PROBES)
    _cast(model, precision)
    padded: Encoder = PaddedEncoder(model, tokens, precision)
    packed: Encoder | None = PackedEncoder.of(model, tokens, precision)
    nearest, best = padded, -2.0
    for encoder in (packed, padded):
        if encoder is not None and best < LEAST_COSINE:
            cosine = least_cosine(encoder.vectors(encoder.read(PROBES)[0]), truth)
            if cosine > best:
                nearest, best = encoder, cosine
    return nearest, best


def least_cosine(vectors: np.ndarray, others: np.ndarray) -> float:
    """Least cosine between the rows of two arrays; -1 where one is not finite."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(others, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = (vectors * others).sum(axis=1) / lengths
    return float(cosines.min()) if np.isfinite(cosines).all() else -1.0


def _cast(model: Any, precision: str) -> Any:
    import torch

    return model.to(getattr(torch, precision))


def info_of(name: str, folder: Path, encoder: Encoder) -> ModelInfo:
    """The description of an encoder's model; `name` is that of the settings."""
    return ModelInfo(
        model=name,
        revision=revision_of(folder),
        dimensions=dimensions_of(encoder.model),
        max_tokens=max_tokens_of(folder),
        precision="" if encoder.faithful else encoder.precision,
    )


def dimensions_of(model: Any) -> int:
    """Number of dimensions of a model's vectors."""
    named = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return int(named())
