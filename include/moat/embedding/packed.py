"""Models of BERT's form without padding: the tokens of all texts of a pass stand in one row.

For GPUs in half precision, where a forward pass of sentence-transformers spends its time on padding, masks and
three small products in place of one. Whether the vectors are the model's own is not believed but compared at the
start, in `moat.embedding.encoder`.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from moat.embedding.model import TokenCounter

Packing = Literal["padded", "packed"]
FORMS = ("BertModel", "RobertaModel", "XLMRobertaModel")
MODULES = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])


class PackedEncoder:
    """A model's forward pass over texts of which no position is padding.

    `vectors` takes token ids as `read` gives them.
    """

    packing: Packing = "packed"
    faithful = True

    def __init__(self, model: Any, tokens: TokenCounter, precision: str) -> None:
        import torch

        inner, pooling = model[0].auto_model, model[1]
        config, table = inner.config, inner.embeddings
        self.model, self.precision, self.device = model, precision, model.device
        self._tokens, self._pooling, self._heads = tokens, _pooling(pooling), config.num_attention_heads
        self._first = 0 if type(inner).__name__ == "BertModel" else table.padding_idx + 1
        self._words = table.word_embeddings.weight
        self._places = table.position_embeddings.weight + table.token_type_embeddings.weight[0]
        self._norm = _Norm(table.LayerNorm)
        self._layers = [_Layer(layer, torch) for layer in inner.encoder.layer]
        self._attend = _by_flash if model.device.type == "cuda" else _by_text

    @classmethod
    def of(cls, model: Any, tokens: TokenCounter, precision: str) -> "PackedEncoder | None":
        """Take a model whose form is known; None for any other."""
        if [type(module).__name__ for module in model] not in MODULES:
            return None
        inner = model[0].auto_model
        config = inner.config
        known = (
            type(inner).__name__ in FORMS
            and config.hidden_act == "gelu"
            and getattr(config, "position_embedding_type", "absolute") in ("absolute", None)
            and _pooling(model[1]) in ("mean", "cls")
            and tokens.special == 2
        )
        return cls(model, tokens, precision) if known else None

    def read(self, texts: Sequence[str]) -> tuple[list[np.ndarray], list[int]]:
        """Token ids of each text, cut to what the model takes, and its number of tokens before that."""
        every = self._tokens.ids(texts)
        most = self._tokens.max_tokens
        cut = (ids if len(ids) <= most else [*ids[: most - 1], ids[-1]] for ids in every)
        return [np.array(ids, np.int32) for ids in cut], [len(ids) for ids in every]

    def vectors(self, items: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors of texts that were read: float32, shape (texts, dimensions), each of length 1."""
        import torch

        lengths = np.fromiter(map(len, items), np.int64, len(items))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths) + self._first
        # One copy to the device for all three: each has its own cost.
        sent = torch.from_numpy(np.concatenate([*items, places, starts]).astype(np.int32)).to(self.device)
        n = int(starts[-1])
        with torch.inference_mode():
            made = self._forward(sent[:n], sent[n : 2 * n], sent[2 * n :], int(lengths.max()))
            return np.asarray(made.cpu().numpy(), "<f4")

    def _forward(self, ids: Any, places: Any, starts: Any, longest: int) -> Any:
        import torch
        from torch.nn import functional

        x = self._norm(functional.embedding(ids, self._words) + functional.embedding(places, self._places))
        for layer in self._layers:
            x = layer(x, self._heads, lambda query, key, value: self._attend(query, key, value, (starts, longest)))
        if self._pooling == "cls":
            made = x[starts[:-1]].float()
        else:
            made = torch.segment_reduce(x.float(), "mean", lengths=starts.diff(), axis=0)
        return functional.normalize(made, dim=1)


class _Norm:
    """LayerNorm, by its weights."""

    def __init__(self, norm: Any) -> None:
        self._shape, self._weight, self._bias, self._eps = norm.normalized_shape, norm.weight, norm.bias, norm.eps

    def __call__(self, x: Any) -> Any:
        from torch.nn import functional

        return functional.layer_norm(x, self._shape, self._weight, self._bias, self._eps)


class _Layer:
    """One layer, with query, key and value as one product."""

    def __init__(self, layer: Any, torch: Any) -> None:
        attention = layer.attention
        parts = (attention.self.query, attention.self.key, attention.self.value)
        self._in = torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
        self._out = attention.output.dense.weight, attention.output.dense.bias
        self._up = layer.intermediate.dense.weight, layer.intermediate.dense.bias
        self._down = layer.output.dense.weight, layer.output.dense.bias
        self._norms = _Norm(attention.output.LayerNorm), _Norm(layer.output.LayerNorm)

    def __call__(self, x: Any, heads: int, attend: Any) -> Any:
        from torch.nn.functional import gelu, linear

        n, width = x.shape
        query, key, value = linear(x, *self._in).view(n, 3, heads, width // heads).unbind(1)
        x = self._norms[0](x + linear(attend(query, key, value).reshape(n, width), *self._out))
        return self._norms[1](x + linear(gelu(linear(x, *self._up)), *self._down))


def _by_flash(query: Any, key: Any, value: Any, texts: tuple[Any, int]) -> Any:
    """Attention within each text, in one kernel over all of them."""
    from torch.nn.attention.varlen import varlen_attn

    starts, longest = texts
    return varlen_attn(
        query=query, key=key, value=value, cu_seq_q=starts, cu_seq_k=starts, max_q=longest, max_k=longest
    )


def _by_text(query: Any, key: Any, value: Any, texts: tuple[Any, int]) -> Any:
    """The same text by text, where there is no such kernel."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    sizes = texts[0].diff().tolist()
    parts = zip(*(whole.transpose(0, 1).split(sizes, dim=1) for whole in (query, key, value)), strict=True)
    return torch.cat([scaled_dot_product_attention(q[None], k[None], v[None])[0].transpose(0, 1) for q, k, v in parts])


def _pooling(pooling: Any) -> str:
    named = getattr(pooling, "pooling_mode", None) or pooling.get_pooling_mode_str()
    return str(named)
