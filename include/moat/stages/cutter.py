"""Have the child cut documents: what a stage in the task's process asks for."""

from dataclasses import asdict

from moat.embedding.model import folder_of, max_tokens_of, revision_of
from moat.errors import ModelError, ParseCrashed
from moat.parse.sandbox import Sandbox
from moat.records import RawDocument
from moat.source import Source
from moat.stages.pieces import Cut


class Cutter:
    """Cuts documents of one source in a sandbox, for one model.

    Example:
        Cut one document:

            with Sandbox(settings) as sandbox:
                pieces = Cutter(sandbox, settings.model, source).cut(raw).pieces
    """

    def __init__(self, sandbox: Sandbox, model: str, source: Source) -> None:
        """Raises ModelError where the model is not on this machine, or has no fast tokenizer."""
        self._sandbox = sandbox
        folder = folder_of(model)
        self._tokenizer = folder / "tokenizer.json"
        if not self._tokenizer.is_file():
            raise ModelError(f"{folder} has no tokenizer.json; save the model with a fast tokenizer")
        self._max_tokens = max_tokens_of(folder)
        self._request = {
            "tokenizer": f"{revision_of(folder)}/{self._max_tokens}",
            "parsing": asdict(source.parsing),
            "chunking": asdict(source.chunking),
            "risks": asdict(source.risks),
        }

    def cut(self, raw: RawDocument) -> Cut:
        """Parse, clean, judge and chunk a document. Raises DocumentError."""
        request = {**self._request, "name": raw.name, "metadata": raw.metadata}
        cut = self._sandbox.work("cut", request, raw.content, Cut)
        if cut is None:  # a new child has no tokenizer yet
            self._give_tokenizer()
            cut = self._sandbox.work("cut", request, raw.content, Cut)
        if cut is None:
            raise ParseCrashed("the parser forgot the model's tokenizer")
        return cut

    def _give_tokenizer(self) -> None:
        given = {"tokenizer": self._request["tokenizer"], "max_tokens": self._max_tokens}
        self._sandbox.work("tokenizer", given, self._tokenizer.read_bytes(), str)
