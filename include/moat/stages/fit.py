"""Split texts, and pack them, so that they fit a budget of tokens; the time grows with the text and no faster."""

import re
from collections.abc import Sequence

from langchain_text_splitters import RecursiveCharacterTextSplitter

from moat.embedding.model import TokenCounter

SEPARATORS = ["\n\n", "\n", r"(?<=[.!?;:])\s+|(?<=[。！？；])", r"\s+", ""]
ROW_SEPARATORS = ["\n", r"\s+", ""]
CODE_SEPARATORS = ["\n\n", "\n", r"\s+", ""]
CELL_SEPARATORS = [r"(?<=[.!?;:])\s+|(?<=[。！？；])", r"\s+", ""]
CHARACTERS_PER_TOKEN = 12  # more is no language: so long a word would count as one unknown token
GROUP = 1_000  # texts that are counted at a time, and forgotten together


class Fit:
    """Counts, splits and packs texts with one tokenizer."""

    def __init__(self, tokens: TokenCounter) -> None:
        self.tokens = tokens

    def length(self, text: str) -> int:
        """Tokens of a text, or more where its characters would count as unknown words."""
        return max(self.tokens.count(text), -(-len(text) // CHARACTERS_PER_TOKEN))

    def end(self, texts: Sequence[str], start: int, budget: int) -> int:
        """Where the texts end that fit the budget together, from `start` on, a line each; the first is taken anyway.

        The sum of their tokens says where it may be; only there the joined text is counted.
        """
        end, tokens, characters = start + 1, self.tokens.count(texts[start]), len(texts[start])
        while end < len(texts) and characters <= budget * CHARACTERS_PER_TOKEN:
            tokens += self.tokens.count(texts[end])
            characters += 1 + len(texts[end])
            if tokens > budget:
                break
            end += 1
        while end > start + 1 and self.length("\n".join(texts[start:end])) > budget:
            end -= 1
        while end < len(texts) and self.length("\n".join(texts[start : end + 1])) <= budget:
            end += 1
        return end

    def split(self, text: str, separators: list[str], budget: int, overlap: int) -> list[str]:
        """Split a text into pieces that fit the budget."""
        self._learn(text, separators, budget)
        splitter = RecursiveCharacterTextSplitter(
            separators,
            keep_separator="end",
            is_separator_regex=True,
            chunk_size=budget,
            chunk_overlap=min(overlap, budget // 2),
            length_function=self.length,
        )
        pieces = splitter.split_text(text)
        self.tokens.learn(pieces)
        # Parts can have fewer tokens than the whole text together, so what is too long is split again.
        return [
            part
            for piece in pieces
            for part in (
                [piece]
                if self.length(piece) <= budget or len(piece) == 1
                else self.split(piece, separators, max(1, budget * 3 // 4), 0)
            )
        ]

    def _learn(self, text: str, separators: Sequence[str], budget: int) -> None:
        """Count in a few calls what the splitter will ask for one by one."""
        pieces = [text]
        for separator in separators:
            self.tokens.learn(pieces)
            pieces = [p for p in pieces if self.length(p) > budget]
            if not pieces or separator == "":
                return
            pieces = [part for piece in pieces for part in _cut(piece, separator)]
        self.tokens.learn(pieces)


def _cut(text: str, separator: str) -> list[str]:
    """Split a text at a separator, which stays at the end of the part before it."""
    parts = re.split(f"({separator})", text)
    pieces = [a + b for a, b in zip(parts[0::2], [*parts[1::2], ""], strict=False)]
    return [piece for piece in pieces if piece]
