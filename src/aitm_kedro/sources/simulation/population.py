"""Who sees a banner: the complete feature values of impressions, drawn from hidden traits.

Affluence, activity and age are common to a segment in part and to a person in part. They shape the features and
nothing else: what happens after the impression depends on the features alone, and on what cannot be observed.
"""

import numpy as np

from aitm_kedro.sources.simulation.clock import drift_of
from aitm_kedro.sources.simulation.draws import cells, draw
from aitm_kedro.sources.simulation.world import DEPENDENT, World

# N = impressions

Features = dict[str, np.ndarray]
"""{field: [N]}: positions in ``World.names`` (integers) for categorical fields, float32 for numeric ones."""

NUMERIC = (
    "tenure_days", "income_index", "payment_delay_days", "orders_7d", "orders_30d", "orders_90d",
    "spend_7d", "spend_30d", "spend_90d", "average_basket", "days_since_order", "installment_share", "coupon_share",
    "sessions_7d", "impressions_30d", "clicks_30d", "days_since_click",
)  # fmt: skip
LARGE_FIELDS = ("audience_segment", "place_of_interest", "city", "creative", "campaign", "search_topic")
SMALL_FIELDS = (
    "bank", "age_band", "gender", "occupation", "education", "city_tier", "member_level", "device_brand",
    "operating_system", "network", "payment_method", "channel", "placement", "hour", "weekday",
)  # fmt: skip
CATEGORICAL = LARGE_FIELDS + SMALL_FIELDS

_AGE_CUTS = np.array([-1.5, -0.9, -0.2, 0.4, 0.9, 1.6, 2.3], np.float32)
_SYSTEM_OF_BRAND = np.array([0, 1, 1, 0, 1, 1, 1, 1, 1, 2], np.int16)


def draw_features(days: np.ndarray, world: World, rng: np.random.Generator) -> Features:
    """The complete features of impressions at ``days`` [N] (days since the start of the log).

    A numeric value that does not exist (days since the last order of somebody who never ordered) is NaN, and that is
    its complete value. What the log loses by accident is lost later, in ``noise``.
    """
    features = _context(days, world, rng)
    traits = _traits(features["audience_segment"], drift_of(days), world, rng)
    features["age_band"] = np.searchsorted(_AGE_CUTS, traits["age"]).astype(np.int16)
    cut = {name: cells(traits[name], world.city_slots.shape[0]) for name in ("affluence", "activity")}
    for field, (trait, *_) in DEPENDENT.items():
        features[field] = draw(world.small[field], cut[trait], rng)
    features["operating_system"] = _SYSTEM_OF_BRAND[features["device_brand"]]
    features["city"] = draw(world.city_slots, cut["affluence"], rng)
    features["city_tier"] = world.tier_of_city[features["city"]]
    return features | _standing(traits, rng) | _orders(traits, rng) | _attention(traits, rng)


def _context(days: np.ndarray, world: World, rng: np.random.Generator) -> Features:
    day = days.astype(np.int32)
    week = day // 7
    features = {field: draw(table, week, rng) for field, table in world.weekly.items()}
    features["campaign"] = world.campaign_of_creative[features["creative"]]
    features["bank"] = world.bank_of_campaign[features["campaign"]]
    features["hour"] = ((days - day) * 24).astype(np.int16)
    features["weekday"] = (day % 7).astype(np.int16)
    return features


def _traits(segment: np.ndarray, drift: np.ndarray, world: World, rng: np.random.Generator) -> Features:
    """Standard normal traits; with the drift, younger and less affluent people come."""
    shift = {"affluence": -0.15, "activity": 0.1, "age": -0.15}
    return {
        name: 0.6 * means[segment] + 0.8 * _normal(rng, len(segment)) + np.float32(shift[name]) * drift
        for name, means in world.traits.items()
    }


def _standing(traits: Features, rng: np.random.Generator) -> Features:
    """What the platform knows of a person's means and habits."""
    affluence, activity, age = traits["affluence"], traits["activity"], traits["age"]
    n = len(age)
    lateness = np.maximum(1.0 * _normal(rng, n) - 0.5 * affluence - 0.2, 0)
    return {
        "tenure_days": np.floor(3650 * _sigmoid(0.5 * age + 0.3 * activity + 0.9 * _normal(rng, n) - 0.4)),
        "income_index": np.rint(100 * np.exp(0.35 * affluence + 0.2 * _normal(rng, n))),
        "payment_delay_days": np.floor(8 * lateness),
        "installment_share": _hundredths(_sigmoid(0.9 * _normal(rng, n) - 0.3 * affluence - 0.3 * age - 0.6)),
        "coupon_share": _hundredths(_sigmoid(0.9 * _normal(rng, n) - 0.3 * affluence - 0.4)),
    }


def _orders(traits: Features, rng: np.random.Generator) -> Features:
    """Orders and spend in nested windows; nothing bought means no basket and no last order."""
    affluence, activity = traits["affluence"], traits["activity"]
    n = len(activity)
    quarter = np.floor(np.exp(1.6 + 0.7 * activity + 0.6 * _normal(rng, n)))
    month = np.floor(quarter * np.clip(0.34 + 0.14 * _normal(rng, n), 0, 1) + rng.random(n, np.float32) * 0.8)
    month = np.minimum(month, quarter)
    week = np.floor(month * np.clip(0.24 + 0.14 * _normal(rng, n), 0, 1) + rng.random(n, np.float32) * 0.7)
    week = np.minimum(week, month)
    basket = np.exp(3.6 + 0.5 * affluence + 0.45 * _normal(rng, n))
    lately = np.exp(0.25 * _normal(rng, n))
    spend = np.rint(quarter * basket)
    waited = rng.random(n, np.float32)
    since = np.where(week > 0, 7 * waited, np.where(month > 0, 7 + 23 * waited, 30 + 60 * waited))
    nothing = quarter == 0
    return {
        "orders_7d": week,
        "orders_30d": month,
        "orders_90d": quarter,
        "spend_7d": _three_digits(np.minimum(week * basket * lately, spend)),
        "spend_30d": _three_digits(np.minimum(month * basket * np.sqrt(lately), spend)),
        "spend_90d": _three_digits(spend),
        "average_basket": _three_digits(np.where(nothing, np.float32(np.nan), basket)),
        "days_since_order": np.where(nothing, np.float32(np.nan), np.floor(since)),
    }


def _attention(traits: Features, rng: np.random.Generator) -> Features:
    """Visits, and what came of earlier impressions; no click means no last click."""
    activity = traits["activity"]
    n = len(activity)
    shown = np.floor(np.exp(2.3 + 0.3 * activity + 0.6 * _normal(rng, n)))
    clicks = np.floor(shown * _sigmoid(0.8 * _normal(rng, n) + 0.3 * activity - 1.9) + rng.random(n, np.float32) * 0.8)
    clicks = np.minimum(clicks, shown)
    since = np.minimum(30 * rng.standard_exponential(n, np.float32) / (clicks + 1), 29)
    return {
        "sessions_7d": np.floor(np.exp(1.4 + 0.6 * activity + 0.5 * _normal(rng, n))),
        "impressions_30d": shown,
        "clicks_30d": clicks,
        "days_since_click": np.where(clicks == 0, np.float32(np.nan), np.floor(since)),
    }


def _normal(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.standard_normal(count, np.float32)


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logit)))


def _hundredths(share: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(share * 100) / np.float32(100))


def _three_digits(amount: np.ndarray) -> np.ndarray:
    """Rounded to whole units below 100, tens below 1,000, hundreds below 10,000 ...: two significant digits or more."""
    unit = np.where(amount < 100, 1, np.where(amount < 1000, 5, np.where(amount < 10_000, 50, 500)))
    unit = unit.astype(np.float32)
    return np.rint(amount / unit) * unit
