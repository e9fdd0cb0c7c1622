"""Exact tests: how likely chance alone gives what was counted."""

import math


def at_least(c: int, n: int, rate: float) -> float:
    """Probability that at least c of n have something that each has with this rate (the binomial test)."""
    c, n = min(c, n), max(n, c)
    of = math.lgamma(n + 1)
    terms = (
        math.exp(of - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(rate) + (n - k) * math.log1p(-rate))
        for k in range(c, n + 1)
    )
    return min(1.0, sum(terms))
