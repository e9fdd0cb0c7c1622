"""Tokens a second of the embedder on a GPU, beside bare sentence-transformers, and the share of the card's peak.

    python -m bench.gpu --model DIR [--shape minilm --shape bge-large] [--seconds 1.5] [--keep]
    python -m bench.gpu --small      # seconds on a CPU: that it runs, no figures

Shapes: `minilm` is the model in DIR itself; `bge-large` has random weights in the form of BAAI/bge-large-en-v1.5,
made here with DIR's tokenizer, so its speed means something and its vectors do not.

Four roads, from the least to all of it:
    pass       token ids in, vectors out: forward passes of Moat's encoder, one after the other
    encoder    texts in: read in requests of 256 by a thread, scheduled and made as in the embedder's process
    embedder   texts in: `moat embedder` in a process of its own, asked by the client over its socket
    bare       texts in: `SentenceTransformer.encode`, in batches of 32, as its manual shows it, and of 256

Tokens are those of the texts, special ones included; padding counts nowhere. The operations of a text of n tokens:

    layers · n · (8·d² + 4·d·f + 4·n·d)        d wide, f in the middle of a layer

8·d²: query, key, value and output, a product of d × d each, two operations an element. 4·d·f: the two products
between d and f. 4·n·d: scores with n tokens, and the mix of their values. Embeddings, norms, GELU, softmax and
pooling are left out, as is usual. MFU is these operations a second over the card's peak for dense matrices in that
precision, from its data sheet; beside it stands what one product of 8192 × 8192 × 8192 reached here.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.results import put, ran_on
from bench.texts import texts_of
from moat.embedding.address import address_of
from moat.embedding.client import HttpEmbedder
from moat.embedding.encoder import GPU_BUDGET, Encoder, PaddedEncoder, in_half, least_cosine, load_model
from moat.embedding.limits import requests
from moat.embedding.model import TokenCounter, folder_of, max_tokens_of
from moat.embedding.resident import serves
from moat.embedding.turns import Job, Turns
from moat.records import embedded_text
from moat.settings import Settings

TITLE = "gpu: tokens a second of the embedder, beside bare sentence-transformers"
# Operations a second on dense matrices, by the makers' data sheets (SXM parts).
HOPPER = {"float16": 989.4e12, "bfloat16": 989.4e12, "tf32": 494.7e12, "float32": 66.9e12}
PEAKS = {
    "H100": HOPPER,
    "H200": HOPPER,
    "A100": {"float16": 312e12, "bfloat16": 312e12, "tf32": 156e12, "float32": 19.5e12},
    "L4": {"float16": 121e12, "bfloat16": 121e12, "tf32": 60e12, "float32": 30.3e12},
}
SHAPES = {
    "bge-large": {"layers": 24, "width": 1024, "heads": 16, "middle": 4096, "max_tokens": 512},
    "tiny": {"layers": 2, "width": 64, "heads": 4, "middle": 128, "max_tokens": 256},
}
PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
AS_SET = "as it chooses"
BUDGETS = (16_384, GPU_BUDGET, 2 * GPU_BUDGET)
DIFFERENT = 1_024  # texts; they repeat, which no road notices
FEWER = {"bge-large": 2}  # a share of the texts


@dataclass(frozen=True)
class Row:
    """One measurement."""

    shape: str
    road: str
    precision: str
    batch: str
    tokens_s: float
    flops_s: float
    cosine: float | None = None  # least, beside bare float32


@dataclass(frozen=True)
class Texts:
    """The texts of a run, and what they weigh for a model."""

    texts: list[str]
    lengths: list[int]
    layers: int
    width: int
    middle: int

    def part(self, n: int) -> "Texts":
        return replace(self, texts=self.texts[:n], lengths=self.lengths[:n])

    def flops(self) -> float:
        n = np.array(self.lengths, np.float64)
        d, f = self.width, self.middle
        return float((self.layers * n * (8 * d * d + 4 * d * f + 4 * n * d)).sum())


def random_model(folder: Path, shape: str, like: Path) -> Path:
    """Write a BERT of this shape with random weights, and the tokenizer of `like`."""
    import torch
    from transformers import BertConfig, BertModel

    form = SHAPES[shape]
    torch.manual_seed(7)
    config = BertConfig(
        hidden_size=form["width"],
        num_hidden_layers=form["layers"],
        num_attention_heads=form["heads"],
        intermediate_size=form["middle"],
        vocab_size=json.loads((like / "config.json").read_text())["vocab_size"],
        initializer_range=1.6 / form["width"] ** 0.5,  # with less, vectors hardly depend on the text
    )
    shutil.copytree(like, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.bin", "config.json"))
    BertModel(config).save_pretrained(folder)
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": form["width"], "pooling_mode_cls_token": True})
    )
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": form["max_tokens"]}))
    return folder


def synchronize() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed(run: Callable[[], Any], seconds: float) -> tuple[float, Any]:
    """Median seconds of a run, after one to warm up, over at least three and so many seconds; and what it gave."""
    run()
    took: list[float] = []
    while len(took) < 3 or sum(took) < seconds:
        synchronize()
        started = time.perf_counter()
        made = run()
        synchronize()
        took.append(time.perf_counter() - started)
    return median(took), made


def by_passes(encoder: Encoder, texts: Texts, budget: int) -> Callable[[], Any]:
    """Forward passes over ids that were read before."""
    items, lengths = encoder.read(texts.texts)
    passes, taken, total = list[list[Any]](), list[Any](), 0
    for i in sorted(range(len(items)), key=lambda i: -lengths[i]):
        if taken and total + lengths[i] > budget:
            passes.append(taken)
            taken, total = [], 0
        taken.append(items[i])
        total += lengths[i]
    passes.append(taken)
    return lambda: [encoder.vectors(some) for some in passes]


def by_turns(encoder: Encoder, texts: Texts, budget: int) -> np.ndarray:
    """The embedder's process without its door: requests are read by a thread and made by another."""
    turns = Turns(encoder.vectors, budget, encoder.packing)

    def asked(some: list[str]) -> Job:
        job = Job(*encoder.read(some), "bench")
        turns.submit(job, "bulk")
        return job

    with ThreadPoolExecutor(1) as reader:
        jobs = list(reader.map(asked, requests(texts.texts, "bulk")))
    return np.stack([row for job in jobs for row in job.done.result() if row is not None])


def by_embedder(folder: Path, given: argparse.Namespace, texts: Texts) -> Iterator[tuple[int, float]]:
    """Seconds over all texts, by one client and by several, each a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "MOAT_HOME": home, "MOAT_MODEL": str(folder), "MOAT_EMBEDDER_IDLE_MINUTES": "0"}
        settings = Settings.model_validate({"home": home, "model": str(folder)})
        server = subprocess.Popen([sys.executable, "-m", "moat.embedding.server"], env=env)
        try:
            deadline = time.monotonic() + settings.embedder_start_s
            while not serves(address_of(settings), settings):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the embedder did not start")
                time.sleep(0.2)
            one = HttpEmbedder(address_of(settings), settings.model)
            yield 1, timed(lambda: one.embed(texts.texts), given.seconds)[0]
            one.close()
            if given.clients > 1:
                yield given.clients, _together(home, folder, texts, given.clients)
        finally:
            server.terminate()
            server.wait()


def _together(home: str, folder: Path, texts: Texts, clients: int) -> float:
    """Seconds until several processes have each their vectors of all texts, as of one of them."""
    (file := Path(home, "texts.json")).write_text(json.dumps(texts.texts))
    code = (
        "import json, sys, time; from moat.embedding.address import address_of\n"
        "from moat.embedding.client import HttpEmbedder; from moat.settings import Settings\n"
        f"settings = Settings.model_validate({{'home': {home!r}, 'model': {str(folder)!r}}})\n"
        f"texts = json.load(open({str(file)!r})); one = HttpEmbedder(address_of(settings), settings.model)\n"
        "one.embed(texts[:300]); print('ready', flush=True); sys.stdin.readline()\n"
        "began = time.time(); one.embed(texts); print(began, time.time(), flush=True)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(clients)
    ]
    for one in started:
        assert one.stdout is not None
        one.stdout.readline()
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate()[0].split() for one in started]
    return (max(float(end) for _, end in said) - min(float(began) for began, _ in said)) / clients


def product_s(precision: str, device: str, n: int) -> float:
    """Operations a second of one product of random square matrices."""
    import torch

    kind = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(precision, torch.float32)
    one, other = (torch.randn(n, n, device=device, dtype=kind) for _ in range(2))
    many = 10 if device == "cuda" else 1
    return many * 2 * n**3 / timed(lambda: [one @ other for _ in range(many)], 0.2)[0]


def texts_for(folder: Path, made: list[str], tokens: TokenCounter) -> Texts:
    """Texts, and what they weigh for the model in a folder."""
    form = json.loads((folder / "config.json").read_text())
    lengths = [n + tokens.special for n in tokens.lengths(made)]
    width, middle = form["hidden_size"], form["intermediate_size"]
    return Texts(texts=made, lengths=lengths, layers=form["num_hidden_layers"], width=width, middle=middle)


def measure(shape: str, folder: Path, made: list[str], given: argparse.Namespace) -> Iterator[Row]:
    """All roads of one model, in all precisions."""
    import torch

    tokens = tokens_of(folder)
    every = texts_for(folder, made, tokens)
    fewer = every.part(max(len(made) // 4, 1))  # where all would take minutes
    truth: np.ndarray | None = None
    for precision in given.precision:
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        half = precision in ("bfloat16", "float16")
        texts, of = every if half else fewer, partial(row, shape, precision)
        model = load_model(str(folder), given.device)
        if truth is None:
            truth = bare(model, every.part(DIFFERENT), 32)
        encoder: Encoder = PaddedEncoder(model, tokens, precision)
        if half:
            encoder, cosine = in_half(model, precision, tokens)
            print(f"{shape} in {precision}: {encoder.packing}, least cosine of the probes {cosine:.6f}", flush=True)
        for size in (32,) if given.small else (32, 256):
            seconds, vectors = timed(partial(bare, model, fewer, size), given.seconds)
            yield of(fewer, road="bare", batch=f"{size} texts", seconds=seconds, cosine=cosine_of(vectors, truth))
        for budget in BUDGETS if precision == "float16" and not given.small else (GPU_BUDGET,):
            batch = f"{budget:,} tokens"
            if encoder.packing == "packed":
                yield of(
                    texts, road="pass", batch=batch, seconds=timed(by_passes(encoder, texts, budget), given.seconds)[0]
                )
            seconds, vectors = timed(partial(by_turns, encoder, texts, budget), given.seconds)
            yield of(texts, road="encoder", batch=batch, seconds=seconds, cosine=cosine_of(vectors, truth))
    torch.set_float32_matmul_precision("highest")
    if given.clients:
        for clients, seconds in by_embedder(folder, given, every):
            batch = f"{clients} client" + "s" * (clients > 1)
            yield row(shape, AS_SET, every, road="embedder", batch=batch, seconds=seconds)


def row(shape: str, precision: str, texts: Texts, **given: Any) -> Row:
    seconds = given.pop("seconds")
    tokens_s, flops_s = sum(texts.lengths) / seconds, texts.flops() / seconds
    return Row(shape=shape, precision=precision, tokens_s=tokens_s, flops_s=flops_s, **given)


def tokens_of(folder: Path) -> TokenCounter:
    from tokenizers import Tokenizer

    return TokenCounter(Tokenizer.from_file(str(folder / "tokenizer.json")), max_tokens_of(folder))


def cosine_of(vectors: np.ndarray, truth: np.ndarray) -> float:
    n = min(len(vectors), len(truth))
    return least_cosine(vectors[:n], truth[:n])


def bare(model: Any, texts: Texts, size: int) -> np.ndarray:
    return np.asarray(model.encode(texts.texts, batch_size=size, show_progress_bar=False))


def told_row(one: Row, card: str) -> str:
    peak = next((peaks for name, peaks in PEAKS.items() if name in card), {}).get(
        "float16" if one.precision == AS_SET else one.precision
    )
    share = f"{one.flops_s / peak:.1%}" if peak else ""
    cosine = "" if one.cosine is None else f"{one.cosine:.6f}"
    return f"| {one.shape} | {one.road} | {one.precision} | {one.batch} | {one.tokens_s:,.0f} | {one.flops_s / 1e12:.1f} | {share} | {cosine} |"


def told(rows: list[Row], given: argparse.Namespace, products: dict[str, float]) -> str:
    """The section of RESULTS.md."""
    reached = ", ".join(f"{name} {speed / 1e12:.0f}" for name, speed in products.items())
    return "\n".join(
        [
            f"On one {given.card}. One product of 8192 × 8192 × 8192 reached here, in TFLOP/s: {reached}.",
            "",
            "| shape | road | precision | batch | tokens a second | TFLOP/s | MFU | least cosine |",
            "|---|---|---|---|---|---|---|---|",
            *(told_row(one, given.card) for one in rows),
            "",
            f"Medians over at least three runs of {given.texts:,} texts of MiniLM and half as many of bge-large; bare and in float32 and tf32 a quarter of them. "
            f"{DIFFERENT:,} are different, those of bench/texts.py. Roads, operations and MFU: see `bench/gpu.py`. "
            f"Least cosine: of all texts, beside `encode` in float32. {given.note}".strip(),
            "",
            f"{ran_on('torch', 'sentence-transformers', 'transformers')} By `python -m bench.gpu`.",
        ]
    )


def arguments(words: list[str] | None) -> argparse.Namespace:
    import torch

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, help="folder of the model; the default one's if not given")
    options.add_argument("--shape", action="append", choices=["minilm", *SHAPES])
    options.add_argument("--precision", action="append", choices=PRECISIONS)
    options.add_argument("--texts", type=int, default=8_192)
    options.add_argument("--seconds", type=float, default=1.0, help="of each measurement, at least")
    options.add_argument(
        "--clients", type=int, default=4, help="processes that ask the embedder at once; 0: no embedder"
    )
    options.add_argument("--note", default="", help="a sentence to keep with the figures")
    options.add_argument("--keep", type=Path, help="write the section to this file, too")
    options.add_argument("--small", action="store_true", help="a tiny shape and few texts; nothing is kept")
    given = options.parse_args(words)
    given.device = "cuda" if torch.cuda.is_available() else "cpu"
    given.card = torch.cuda.get_device_name() if given.device == "cuda" else "a CPU"
    given.precision = given.precision or PRECISIONS
    given.shape = given.shape or (["tiny"] if given.small else ["minilm", "bge-large"])
    if given.small:
        given.texts, given.seconds, given.clients = 24, 0.0, 0
    return given


def main(words: list[str] | None = None) -> list[Row]:
    given = arguments(words)
    source = given.model or folder_of(Settings.load().model)
    rows = list[Row]()
    products = {}
    for precision in PRECISIONS if not given.small else ():
        import torch

        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        products[precision] = product_s(precision, given.device, 8192 if given.device == "cuda" else 512)
    different = [embedded_text(*one) for one in texts_of(min(given.texts, DIFFERENT), tokens_of(source))]
    texts = list(islice(cycle(different), given.texts))
    with tempfile.TemporaryDirectory() as made:
        for shape in given.shape:
            folder = source if shape == "minilm" else random_model(Path(made, shape), shape, source)
            for one in measure(shape, folder, texts[: given.texts // FEWER.get(shape, 1)], given):
                rows.append(one)
                print(told_row(one, given.card), flush=True)
    if not given.small:
        report = told(rows, given, products)
        put(TITLE, report)
        if given.keep:
            given.keep.write_text(f"## {TITLE}\n\n{report}\n")
    return rows


if __name__ == "__main__":
    main()
