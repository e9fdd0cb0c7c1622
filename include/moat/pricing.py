"""Cost of a load: seconds by stage, tokens embedded, and money."""

from collections.abc import Mapping
from dataclasses import dataclass

from moat.errors import FatalError
from moat.ledger import Ledger, spending
from moat.settings import Settings
from moat.source import Source

Spent = Mapping[str, tuple[float, int]]  # seconds and tokens by stage
EMBED = "embed"


@dataclass(frozen=True, slots=True)
class Spending:
    """Cost of a load so far, or as estimated before it is embedded."""

    tokens: int  # given to the model
    seconds: Mapping[str, float]  # by stage, failed tries included
    cost: float  # in MOAT_CURRENCY

    @classmethod
    def of_load(cls, ledger: Ledger, settings: Settings, number: int) -> "Spending":
        """Return the cost that the ledger has recorded for a load."""
        return cls.of(settings, spending.of_load(ledger, number))

    @classmethod
    def of(cls, settings: Settings, spent: Spent) -> "Spending":
        """Return the cost of the given seconds and tokens."""
        seconds = {stage: seconds for stage, (seconds, _) in spent.items()}
        return cls(sum(tokens for _, tokens in spent.values()), seconds, cost(settings, spent))


def cost(settings: Settings, spent: Spent) -> float:
    """Price of the tokens and of the hours of embedding, in MOAT_CURRENCY."""
    tokens = sum(tokens for _, tokens in spent.values())
    seconds = spent.get(EMBED, (0.0, 0))[0]
    return tokens * settings.cost_per_million_tokens / 1_000_000 + seconds * settings.cost_per_hour / 3_600


def money(settings: Settings, amount: float) -> str:
    """Format an amount such as `12.50 EUR`; empty if no price is set."""
    priced_at_all = settings.cost_per_million_tokens or settings.cost_per_hour
    return f"{amount:,.2f} {settings.currency}" if priced_at_all else ""


def spending_line(settings: Settings, spent: Spending) -> str:
    """Summarize the cost of a load in one line."""
    amount = money(settings, spent.cost)
    stages = ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in spent.seconds.items())
    return f"{spent.tokens:,} tokens{f', {amount}' if amount else ''}; {stages or 'no stage has run'}"


def priced(settings: Settings, source: Source) -> None:
    """Raise FatalError for a budget in money without a token price.

    Such a budget would never hold a load.
    """
    if source.limits.max_cost is not None and not settings.cost_per_million_tokens:
        raise FatalError(
            f"source {source.name}: Limits(max_cost={source.limits.max_cost:g}) needs a price: set "
            "MOAT_COST_PER_MILLION_TOKENS, or limit max_tokens"
        )
