"""The recipe by which bytes become chunks: where it moves, every document is prepared again."""

from moat.embedding.model import folder_of, max_tokens_of
from moat.ids import digest
from moat.runtime import Runtime
from moat.source import Chunking, Risks, Source

# A stage's version rises when it would give something else of the same input.
PARSE = "2"
CLEAN = "1"
CHUNK = "1"
RISKS = "1"


def recipe_of(runtime: Runtime, source: Source) -> str:
    """Return the digest of everything that turns this source's bytes into chunks now.

    Raises ModelError where the embedding model is not on this machine.
    """
    return recipe(max_tokens_of(folder_of(runtime.settings.model)), source.chunking, source.risks)


def recipe(model_max_tokens: int, chunking: Chunking, policy: Risks) -> str:
    """Return the digest for a model that takes so many tokens, a way of cutting and a risk policy."""
    return digest(
        "recipe",
        PARSE,
        CLEAN,
        CHUNK,
        RISKS,
        str(model_max_tokens),
        str(chunking.target_tokens),
        str(chunking.overlap_tokens),
        policy.personal,
        policy.secrets,
        policy.hidden,
        policy.injection,
    )
