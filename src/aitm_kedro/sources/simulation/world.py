"""The ids of the simulated log: their names, how often they are seen, from when on, and what people stand behind.

All of it is invented, drawn once from the streams of the story, and the same for every seed.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from aitm_kedro.sources.simulation.clock import WEEKS
from aitm_kedro.sources.simulation.draws import slots, stream, zipf

SEGMENTS, PLACES, CITIES, TOPICS = 30_000, 8_000, 340, 1_200
CAMPAIGNS, CREATIVES = 400, 3_000
CELLS = 8  # steps into which a hidden trait is cut where a small field depends on it

SMALL = {
    "bank": tuple(f"bank_{letter}" for letter in "abcdefghijkl"),
    "age_band": ("18-21", "22-24", "25-29", "30-34", "35-39", "40-49", "50-59", "60+"),
    "gender": ("female", "male", "unknown"),
    "occupation": (
        "student", "service", "factory", "driver", "farmer", "retail", "clerk", "teacher",
        "nurse", "freelance", "engineer", "manager", "public_servant", "owner",
    ),
    "education": ("primary", "secondary", "vocational", "bachelor", "master"),
    "city_tier": ("tier_1", "tier_2", "tier_3", "tier_4", "tier_5"),
    "member_level": ("none", "bronze", "silver", "gold", "platinum", "black"),
    "device_brand": tuple(f"brand_{letter}" for letter in "abcdefghij"),
    "operating_system": ("ios", "android", "other"),
    "network": ("wifi", "5g", "4g", "3g"),
    "payment_method": ("wallet", "debit_card", "credit_card", "pay_later", "cash"),
    "channel": ("food", "groceries", "hotel", "travel", "cinema", "rides"),
    "placement": ("home_top", "home_feed", "search", "order_done", "wallet", "profile", "popup", "category", "splash"),
    "hour": tuple(str(hour) for hour in range(24)),
    "weekday": ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
}  # fmt: skip
LARGE = {
    "audience_segment": ("seg", SEGMENTS),
    "place_of_interest": ("poi", PLACES),
    "city": ("city", CITIES),
    "creative": ("cr", CREATIVES),
    "campaign": ("cmp", CAMPAIGNS),
    "search_topic": ("topic", TOPICS),
}

# field: (trait that it depends on, how strongly its values follow it, how uneven they are)
DEPENDENT = {
    "occupation": ("affluence", 0.7, 0.6),
    "education": ("affluence", 0.9, 0.5),
    "member_level": ("activity", 1.0, 0.5),
    "device_brand": ("affluence", 0.6, 0.7),
    "network": ("affluence", 0.3, 0.8),
    "payment_method": ("affluence", 0.6, 0.5),
    "channel": ("activity", 0.3, 0.6),
    "placement": ("activity", 0.3, 0.6),
    "gender": ("activity", 0.2, 0.5),
}
BANK_SHARES = (0.27, 0.2, 0.14, 0.1, 0.085, 0.065, 0.05, 0.035, 0.025, 0.015, 0.01, 0.005)


@dataclass(frozen=True, kw_only=True)
class World:
    """Ids and their look-up tables.

    Attributes:
        names: {categorical field: its values}; the rows hold positions in them.
        weekly: {field: [WEEKS, 2^bits] slots} of fields whose values come and go.
        small: {field: [CELLS, 2^bits] slots} of fields that depend on a hidden trait.
        traits: {trait: [SEGMENTS] float32}, what a segment's people have in common.
        city_slots: [CELLS, 2^bits], cities by affluence.
        tier_of_city: [CITIES] int16.
        campaign_of_creative: [CREATIVES] int16.
        bank_of_campaign: [CAMPAIGNS] int16.
    """

    names: dict[str, tuple[str, ...]]
    weekly: dict[str, np.ndarray]
    small: dict[str, np.ndarray]
    traits: dict[str, np.ndarray]
    city_slots: np.ndarray
    tier_of_city: np.ndarray
    campaign_of_creative: np.ndarray
    bank_of_campaign: np.ndarray


@cache
def world() -> World:
    """The one world in which all simulated logs play."""
    bank_of_campaign = _banks()
    campaign_of_creative = _campaigns(bank_of_campaign)
    creatives = _creative_weights(campaign_of_creative, bank_of_campaign)
    return World(
        names=SMALL
        | {
            field: tuple(f"{prefix}_{number:0{len(str(size - 1))}d}" for number in range(size))
            for field, (prefix, size) in LARGE.items()
        },
        weekly={
            "audience_segment": _weekly(_appearing("audience_segment", zipf(SEGMENTS, exponent=0.95, offset=20)), 20),
            "place_of_interest": _weekly(_appearing("place_of_interest", zipf(PLACES, exponent=0.9, offset=10)), 18),
            "search_topic": _weekly(_appearing("search_topic", zipf(TOPICS, exponent=1.0, offset=8)), 16),
            "creative": _weekly(creatives, 16),
        },
        small={field: _by_trait(field, *spec[1:]) for field, spec in DEPENDENT.items()},
        traits={
            trait: stream("trait", trait).normal(size=SEGMENTS).astype(np.float32)
            for trait in ("affluence", "activity", "age")
        },
        city_slots=_cities(),
        tier_of_city=np.sort(stream("tiers").choice(5, CITIES, p=(0.02, 0.1, 0.25, 0.35, 0.28))).astype(np.int16),
        campaign_of_creative=campaign_of_creative,
        bank_of_campaign=bank_of_campaign,
    )


def _banks() -> np.ndarray:
    """The bank of each campaign: large banks run more of them, every bank runs four or more."""
    share = np.sqrt(BANK_SHARES)
    extra = stream("campaigns").choice(12, CAMPAIGNS - 48, p=share / share.sum())
    return np.concatenate([np.repeat(np.arange(12), 4), extra]).astype(np.int16)


def _campaigns(bank_of_campaign: np.ndarray) -> np.ndarray:
    """The campaign of each creative: one each to begin with, then as it falls."""
    extra = stream("creatives").integers(0, len(bank_of_campaign), CREATIVES - CAMPAIGNS)
    return np.concatenate([np.arange(CAMPAIGNS), extra]).astype(np.int16)


def _creative_weights(campaign_of_creative: np.ndarray, bank_of_campaign: np.ndarray) -> np.ndarray:
    """How often each creative is shown in each week, [WEEKS, CREATIVES]; a bank's share never changes.

    A campaign starts in some week (six in ten before the log does) and runs for 3 to 20 weeks; the first campaign of
    every bank runs always.
    """
    rng = stream("flights")
    start = np.maximum(rng.integers(-14, WEEKS, CAMPAIGNS), -2)
    length = rng.integers(3, 21, CAMPAIGNS)
    weight = rng.lognormal(0, 1.0, CAMPAIGNS)[campaign_of_creative] * rng.lognormal(0, 1.0, CREATIVES)
    always = np.arange(CAMPAIGNS) < 48
    week = np.arange(WEEKS)[:, None]
    runs = ((start <= week) & (week < start + length)) | (always & (np.arange(CAMPAIGNS) % 4 == 0))
    shown = np.where(runs[:, campaign_of_creative], weight, 0.0)
    bank = bank_of_campaign[campaign_of_creative]
    per_bank = np.stack([np.bincount(bank, row, 12) for row in shown])
    return shown * (np.array(BANK_SHARES) / per_bank)[:, bank]


def _appearing(field: str, weights: np.ndarray) -> np.ndarray:
    """Weights by week, [WEEKS, values]: one value in twelve appears only in the course of the log."""
    rng = stream("appearing", field)
    first = np.where(rng.random(len(weights)) < 1 / 12, rng.integers(1, WEEKS, len(weights)), 0)
    return np.where(first <= np.arange(WEEKS)[:, None], rng.permutation(weights), 0.0)


def _weekly(weights: np.ndarray, bits: int) -> np.ndarray:
    return np.stack([slots(row, bits) for row in weights])


def _by_trait(field: str, follows: float, uneven: float) -> np.ndarray:
    """Distributions of a small field in each cell of its trait, [CELLS, 4096]."""
    rng = stream("small", field)
    values = len(SMALL[field])
    level = np.linspace(-1.5, 1.5, CELLS)[:, None]
    taste = np.linspace(-1, 1, values) if values < 7 else rng.uniform(-1, 1, values)
    return _weekly(np.exp(uneven * rng.normal(size=values) + follows * level * taste * 1.5), 12)


def _cities() -> np.ndarray:
    """Distributions of the city by affluence, [CELLS, 2^14]: the first cities are large and better off."""
    weights = zipf(CITIES, exponent=0.9, offset=3)
    place = np.linspace(1, -1, CITIES)
    return _weekly(weights * np.exp(np.linspace(-0.8, 0.8, CELLS)[:, None] * place), 14)
