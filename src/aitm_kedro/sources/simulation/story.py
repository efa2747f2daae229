"""The story: which features move a person's interest, need, credit-worthiness and engagement, and by how much.

This file holds every number that shapes the truth, besides the target rates. They were settled by the ledger
(``docs/simulator.md``) alone. A weight is the standard deviation of what its term adds to a latent, over the mature
impressions; the intercepts are solved for, not written here.
"""

from dataclasses import dataclass

import numpy as np

LATENTS = ("interest", "need", "credit", "engagement")

# How main effects (and what cannot be observed) of the latents drive the logit of each step, given the step before:
# who somebody is matters at every step.                                 [steps, latents]
LOADINGS = np.array(
    [
        # interest, need, credit, engagement
        [0.78, 0.50, 0.34, 0.40],  # click
        [0.38, 0.47, 0.27, 0.25],  # application, given a click
        [0.23, 0.28, 0.43, 0.23],  # approval, given an application
        [0.16, 0.16, 0.16, 0.30],  # activation, given an approval
    ]
)

# How interactions of the latents do: what comes together matters mostly at a step of its own.
INTERACTION_LOADINGS = np.array(
    [
        [1.08, 0.20, 0.00, 0.00],
        [0.15, 0.72, 0.00, 0.00],
        [0.00, 0.12, 0.62, 0.00],
        [0.00, 0.00, 0.10, 0.48],
    ]
)

# What cannot be observed: a mood that colours interest, need and engagement, and circumstances that colour need,
# credit and engagement. Both are standard normal.                       [latents, (mood, circumstances)]
UNOBSERVED = np.array([[0.40, 0.00], [0.35, 0.10], [0.00, 0.50], [0.25, 0.30]])

# Of the effects that a categorical value has on the four latents, the part of the variance that is common to all.
COMMON = 0.7

# With the drift (0 before, 1 at the end of the log) the latents move, for everybody.
DRIFT = {"interest": -0.25, "need": 0.15, "credit": -0.3, "engagement": 0.0}


@dataclass(frozen=True)
class Numeric:
    """A numeric field, standardised (after a logarithm if it is skewed), through a shape."""

    field: str
    shape: str = "line"


@dataclass(frozen=True)
class Ids:
    """A categorical field. In an interaction its values act through ``groups`` hidden groups (None: one by one)."""

    field: str
    groups: int | None = None


@dataclass(frozen=True)
class Term:
    """One addend of a latent: a main effect (one factor), or an interaction (two factors)."""

    latent: str
    weight: float
    factors: tuple[Numeric | Ids, ...]


MAIN: dict[str, dict[Numeric | Ids, float]] = {
    "interest": {
        Numeric("clicks_30d"): 0.29,
        Numeric("impressions_30d", "hump"): 0.17,
        Numeric("days_since_click", "fall"): 0.15,
        Numeric("sessions_7d"): 0.17,
        Ids("placement"): 0.31,
        Ids("hour"): 0.14,
        Ids("age_band"): 0.2,
        Ids("channel"): 0.14,
        Ids("creative"): 0.26,
        Ids("audience_segment"): 0.26,
        Ids("search_topic"): 0.16,
    },
    "need": {
        Numeric("spend_90d", "hump"): 0.26,
        Numeric("installment_share"): 0.22,
        Numeric("orders_30d"): 0.21,
        Numeric("clicks_30d", "bend"): 0.12,
        Ids("age_band"): 0.28,
        Ids("occupation"): 0.22,
        Ids("payment_method"): 0.22,
        Ids("member_level"): 0.17,
        Ids("audience_segment"): 0.3,
        Ids("place_of_interest"): 0.16,
        Ids("search_topic"): 0.2,
    },
    "credit": {
        Numeric("income_index"): 0.31,
        Numeric("payment_delay_days", "fall"): 0.29,
        Numeric("tenure_days", "bend"): 0.17,
        Numeric("orders_90d"): 0.14,
        Ids("occupation"): 0.28,
        Ids("education"): 0.2,
        Ids("age_band"): 0.25,
        Ids("bank"): 0.28,
        Ids("city"): 0.2,
        Ids("audience_segment"): 0.26,
        Ids("campaign"): 0.12,
    },
    "engagement": {
        Numeric("orders_30d"): 0.26,
        Numeric("days_since_order", "fall"): 0.21,
        Numeric("sessions_7d", "bend"): 0.17,
        Numeric("coupon_share", "hump"): 0.15,
        Ids("city_tier"): 0.22,
        Ids("bank"): 0.25,
        Ids("payment_method"): 0.22,
        Ids("member_level"): 0.2,
        Ids("audience_segment"): 0.26,
        Ids("city"): 0.16,
        Ids("place_of_interest"): 0.16,
    },
}

INTERACTIONS: dict[str, dict[tuple[Numeric | Ids, Numeric | Ids], float]] = {
    "interest": {
        (Numeric("clicks_30d"), Ids("placement")): 0.5,
        (Numeric("sessions_7d"), Ids("age_band")): 0.4,
        (Numeric("impressions_30d"), Ids("channel")): 0.3,
        (Ids("creative", 6), Ids("age_band")): 0.26,
        (Ids("audience_segment", 5), Ids("campaign", 4)): 0.2,
    },
    "need": {
        (Numeric("spend_90d"), Ids("age_band")): 0.5,
        (Numeric("installment_share"), Ids("occupation")): 0.4,
        (Numeric("orders_30d"), Numeric("coupon_share")): 0.3,
        (Numeric("average_basket"), Ids("payment_method")): 0.26,
        (Ids("search_topic", 5), Ids("member_level")): 0.2,
    },
    "credit": {
        (Numeric("income_index"), Ids("bank")): 0.5,
        (Numeric("payment_delay_days"), Numeric("tenure_days")): 0.4,
        (Numeric("income_index"), Ids("age_band")): 0.3,
        (Ids("occupation"), Ids("bank", 3)): 0.26,
        (Ids("city", 5), Ids("education")): 0.2,
    },
    "engagement": {
        (Numeric("orders_30d"), Ids("bank")): 0.5,
        (Numeric("days_since_order"), Ids("member_level")): 0.4,
        (Numeric("sessions_7d"), Numeric("coupon_share")): 0.3,
        (Ids("city", 5), Ids("bank", 3)): 0.26,
        (Ids("place_of_interest", 5), Ids("age_band")): 0.2,
    },
}

TERMS = tuple(Term(latent, weight, (factor,)) for latent, effects in MAIN.items() for factor, weight in effects.items())
TERMS += tuple(Term(latent, weight, pair) for latent, pairs in INTERACTIONS.items() for pair, weight in pairs.items())

# Numeric fields that are read as they are; of all others the logarithm of 1 + value is taken first.
PLAIN = ("installment_share", "coupon_share")

# Who has no value (never ordered, never clicked) stands this many standard deviations above the mean.
ABSENT = 1.5
