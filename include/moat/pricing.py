"""What a load costs: seconds by stage, tokens that the model was given, and money."""

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
    """What a load has cost so far, or would have when it is embedded."""

    tokens: int  # that the model was given
    seconds: Mapping[str, float]  # by stage; of tries that failed, too
    cost: float  # in MOAT_CURRENCY

    @classmethod
    def of_load(cls, ledger: Ledger, settings: Settings, number: int) -> "Spending":
        """What the ledger has counted for a load."""
        return cls.of(settings, spending.of_load(ledger, number))

    @classmethod
    def of(cls, settings: Settings, spent: Spent) -> "Spending":
        seconds = {stage: seconds for stage, (seconds, _) in spent.items()}
        return cls(sum(tokens for _, tokens in spent.values()), seconds, cost(settings, spent))


def cost(settings: Settings, spent: Spent) -> float:
    """What it comes to: tokens by their price, and the hours of embedding by the machine's."""
    tokens = sum(tokens for _, tokens in spent.values())
    seconds = spent.get(EMBED, (0.0, 0))[0]
    return tokens * settings.cost_per_million_tokens / 1_000_000 + seconds * settings.cost_per_hour / 3_600


def money(settings: Settings, amount: float) -> str:
    """An amount in words: `12.50 EUR`; empty where no price is set."""
    priced_at_all = settings.cost_per_million_tokens or settings.cost_per_hour
    return f"{amount:,.2f} {settings.currency}" if priced_at_all else ""


def spending_line(settings: Settings, spent: Spending) -> str:
    """What a load has cost, in one line."""
    amount = money(settings, spent.cost)
    stages = ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in spent.seconds.items())
    return f"{spent.tokens:,} tokens{f', {amount}' if amount else ''}; {stages or 'no stage has run'}"


def priced(settings: Settings, source: Source) -> None:
    """Refuse a budget in money where tokens have no price: it would hold nothing. Raises FatalError."""
    if source.limits.max_cost is not None and not settings.cost_per_million_tokens:
        raise FatalError(
            f"source {source.name}: Limits(max_cost={source.limits.max_cost:g}) needs a price: set "
            "MOAT_COST_PER_MILLION_TOKENS, or limit max_tokens"
        )
