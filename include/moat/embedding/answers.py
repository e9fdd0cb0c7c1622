"""Reads what an embedder answers, and tells it from what something else answers."""

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from moat.embedding.model import ModelInfo

if TYPE_CHECKING:
    import httpx


def info_of(answer: "httpx.Response") -> ModelInfo:
    """The model that `/health` describes. Raises ValueError for what no embedder answers, in words of our own."""
    body = _json(answer)
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise ValueError("JSON that names no model")
    try:
        return ModelInfo(
            model=body["model"],
            revision=str(body["revision"]),
            dimensions=int(body["dimensions"]),
            max_tokens=int(body["max_tokens"]),
            precision="" if body.get("faithful", True) else str(body["precision"]),
        )
    except (KeyError, TypeError, ValueError):
        raise ValueError("JSON without the model's revision, dimensions and max_tokens") from None


def vectors_of(answer: "httpx.Response") -> list[np.ndarray]:
    """The vectors of an answer in the OpenAI form, by their index from 0. Raises ValueError for what no embedder answers, in words of our own."""
    body = _json(answer)
    rows = body.get("data") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise ValueError("JSON without a list `data`")
    if not all(isinstance(row, dict) and type(row.get("index")) is int for row in rows):
        raise ValueError("rows without an index")
    rows = sorted(rows, key=lambda row: row["index"])
    if [row["index"] for row in rows] != list(range(len(rows))):
        raise ValueError("rows that are not numbered from 0")
    vectors = [_vector(row.get("embedding")) for row in rows]
    if len({len(vector) for vector in vectors}) > 1:
        raise ValueError("vectors of several lengths")
    return vectors


def _json(answer: "httpx.Response") -> Any:
    try:
        return answer.json()
    except ValueError:
        raise ValueError("no JSON") from None


def _vector(value: Any) -> np.ndarray:
    try:
        if isinstance(value, str):
            return np.frombuffer(base64.b64decode(value, validate=True), "<f4")
        vector = np.asarray(value, np.float32)
    except (ValueError, TypeError):
        raise ValueError("an embedding that is neither numbers nor base64 of 32-bit floats") from None
    if vector.ndim != 1:
        raise ValueError("an embedding that is no list of numbers")
    return vector
