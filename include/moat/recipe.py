"""The recipe: a digest of everything that turns bytes into chunks.

When it changes, every document is prepared again.
"""

from moat.embedding.model import folder_of, max_tokens_of
from moat.ids import digest
from moat.runtime import Runtime
from moat.source import Chunking, Risks, Source

# Raise a stage's version when its output for the same input changes.
PARSE = "2"
CLEAN = "1"
CHUNK = "1"
RISKS = "1"


def recipe_of(runtime: Runtime, source: Source) -> str:
    """Return the recipe of a source under the current settings.

    Raises:
        ModelError: The embedding model is not on this machine.
    """
    return recipe(max_tokens_of(folder_of(runtime.settings.model)), source.chunking, source.risks)


def recipe(model_max_tokens: int, chunking: Chunking, policy: Risks) -> str:
    """Return the recipe for a model's token limit, a chunking and a risk policy."""
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
