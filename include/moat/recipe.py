"""The recipe: a digest of everything that turns bytes into chunks.

When it changes, every document is prepared again.
"""

from collections.abc import Mapping
from dataclasses import fields

from moat.embedding.model import folder_of, max_tokens_of
from moat.errors import LIMITS
from moat.ids import digest
from moat.runtime import Runtime
from moat.source import Chunking, Parsing, Risks, Source

# Raise a stage's version when its output for the same input changes.
PARSE = "4"
CLEAN = "3"
CHUNK = "3"
RISKS = "3"


def recipe_of(runtime: Runtime, source: Source) -> str:
    """Return the recipe of a source under the current settings.

    Raises:
        ModelError: The embedding model is not on this machine.
    """
    return recipe(max_tokens_of(folder_of(runtime.settings.model)), source.chunking, source.risks, source.parsing)


def recipes_of(runtime: Runtime, source: Source) -> tuple[str, ...]:
    """Today's recipe of a source, then those of what each of today's limits stopped."""
    today = recipe_of(runtime, source)
    return (today, *limited(runtime, today).values())


def limited(runtime: Runtime, recipe: str) -> Mapping[str, str]:
    """By the error of a document that a limit stopped, the recipe with that limit: another limit is another try."""
    return {
        error: digest("limited", recipe, f"{setting}={getattr(runtime.settings, setting)}")
        for error, setting in LIMITS.items()
    }


def recipe(model_max_tokens: int, chunking: Chunking, policy: Risks, parsing: Parsing) -> str:
    """Return the recipe for a model's token limit, a chunking, a risk policy and what is parsed."""
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
        *(str(getattr(parsing, field.name)) for field in fields(parsing)),
    )
