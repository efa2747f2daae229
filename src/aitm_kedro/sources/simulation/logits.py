"""Turns features into the observable part of the four step logits, by the terms of the story."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from aitm_kedro.sources.simulation.clock import drift_of, mature_days
from aitm_kedro.sources.simulation.draws import stream
from aitm_kedro.sources.simulation.population import SMALL_FIELDS, Features, draw_features
from aitm_kedro.sources.simulation.story import (
    ABSENT,
    COMMON,
    DRIFT,
    INTERACTION_LOADINGS,
    LATENTS,
    LOADINGS,
    PLAIN,
    TERMS,
    Ids,
    Numeric,
    Term,
)
from aitm_kedro.sources.simulation.world import world

# N = impressions, L = latents, S = steps, G = groups of the ledger

GROUPS = ("numeric", "small", "large", "interactions", "drift")
SAMPLE_ROWS = 262_144  # mature impressions on which effects are scaled and intercepts are solved

_SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "line": lambda score: score,
    "fall": lambda score: -np.tanh(score),
    "bend": lambda score: np.maximum(score, 0),
    "hump": lambda score: np.exp(-0.5 * np.square(score - np.float32(0.3))),
}


def group_of(term: Term) -> str:
    """The line of the ledger that a term belongs to."""
    if len(term.factors) == 2:
        return "interactions"
    factor = term.factors[0]
    if isinstance(factor, Numeric):
        return "numeric"
    return "small" if factor.field in SMALL_FIELDS else "large"


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The story's terms, scaled so that each has its weight as standard deviation over the mature impressions.

    Attributes:
        scores: {numeric field: (mean, standard deviation)} after the logarithm.
        tables: {term: its effects or slopes by value (main effects, numeric x ids) or [groups, groups] (ids x ids)}.
        scales: {term: (factor, offset)} from the raw term to what it adds to its latent.
    """

    scores: dict[str, tuple[np.float32, np.float32]]
    tables: dict[Term, np.ndarray]
    scales: dict[Term, tuple[np.float32, np.float32]]

    def logits(self, features: Features, days: np.ndarray) -> np.ndarray:
        """The observable part of the step logits without intercepts, [S, N] float32."""
        main, together = self._sum(features, days, lambda group: int(group == "interactions"), 2)
        return np.asarray(LOADINGS.astype(np.float32) @ main + INTERACTION_LOADINGS.astype(np.float32) @ together)

    def logits_by_group(self, features: Features, days: np.ndarray) -> np.ndarray:
        """The same, apart by group of the ledger, [G, S, N] float64."""
        latents = self._sum(features, days, GROUPS.index, len(GROUPS)).astype(float)
        return np.stack(
            [
                (INTERACTION_LOADINGS if group == "interactions" else LOADINGS) @ latent
                for group, latent in zip(GROUPS, latents, strict=True)
            ]
        )

    def _sum(self, features: Features, days: np.ndarray, place: Callable[[str], int], places: int) -> np.ndarray:
        """The observable part of the latents in ``places`` parts, [places, L, N] float32."""
        total = np.zeros((places, len(LATENTS), len(days)), np.float32)
        drift = drift_of(days)
        for latent, move in DRIFT.items():
            if move and drift.any():
                total[place("drift"), LATENTS.index(latent)] += np.float32(move) * drift
        scores = self.standardised(features)
        for term in TERMS:
            value = self.raw(term, features, scores)
            factor, offset = self.scales[term]
            value *= factor
            value += offset
            total[place(group_of(term)), LATENTS.index(term.latent)] += value
        return total

    def standardised(self, features: Features) -> Features:
        """Every numeric field of the story as standard scores, {field: [N] float32}; absent values stand apart."""
        return {field: self._score(field, features[field]) for field in self.scores}

    def _score(self, field: str, values: np.ndarray) -> np.ndarray:
        mean, deviation = self.scores[field]
        score = (values if field in PLAIN else np.log1p(values)) - mean
        score /= deviation
        np.nan_to_num(score, copy=False, nan=ABSENT)
        return np.clip(score, -3, 3, out=score)

    def raw(self, term: Term, features: Features, scores: Features) -> np.ndarray:
        """A term before scaling, [N] float32, freshly allocated."""
        first, *rest = term.factors
        if not rest:
            if isinstance(first, Numeric):
                return np.array(_SHAPES[first.shape](scores[first.field]))
            return self.tables[term][features[first.field]]
        second = rest[0]
        if isinstance(first, Ids):
            return self._cross(term, first, second, features)
        curve = _SHAPES[first.shape](scores[first.field])
        if isinstance(second, Numeric):
            return np.asarray(curve * _SHAPES[second.shape](scores[second.field]))
        return np.asarray(curve * self.tables[term][features[second.field]])

    def _cross(self, term: Term, first: Ids, second: Numeric | Ids, features: Features) -> np.ndarray:
        assert isinstance(second, Ids), "a term names its numeric factor first"
        table = self.tables[term]
        place = hidden_groups(first)[features[first.field]] * np.int32(table.shape[1])
        place += hidden_groups(second)[features[second.field]]
        return table.ravel()[place]


@cache
def hidden_groups(ids: Ids) -> np.ndarray:
    """The hidden group of each value of a field, [values] int32: drawn at random, or each value its own."""
    values = len(world().names[ids.field])
    if ids.groups is None:
        return np.arange(values, dtype=np.int32)
    return stream("groups", ids.field).integers(0, ids.groups, values).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Mature impressions to measure on: the same ones always."""

    days: np.ndarray
    features: Features


@cache
def sample() -> Sample:
    """``SAMPLE_ROWS`` mature impressions from a stream of the story."""
    rng = stream("sample")
    days = mature_days(SAMPLE_ROWS, rng)
    return Sample(days=days, features=draw_features(days, world(), rng))


@cache
def fitted_effects() -> Effects:
    """The effects of the story, scaled on the sample; takes about a second, once in a process."""
    features = sample().features
    unscaled = Effects(scores=_scores(features), tables=_tables(features), scales={})
    scores = unscaled.standardised(features)
    return replace(unscaled, scales={term: _scale(term, unscaled.raw(term, features, scores)) for term in TERMS})


def _scale(term: Term, raw: np.ndarray) -> tuple[np.float32, np.float32]:
    """The factor and offset that give a term mean zero and its weight as standard deviation."""
    factor = term.weight / raw.std(dtype=np.float64)
    return np.float32(factor), np.float32(-raw.mean(dtype=np.float64) * factor)


def _scores(features: Features) -> dict[str, tuple[np.float32, np.float32]]:
    fields = {factor.field for term in TERMS for factor in term.factors if isinstance(factor, Numeric)}
    result = {}
    for field in sorted(fields):
        values = features[field].astype(np.float64)
        values = values if field in PLAIN else np.log1p(values)
        result[field] = (np.float32(np.nanmean(values)), np.float32(np.nanstd(values)))
    return result


def _tables(features: Features) -> dict[Term, np.ndarray]:
    tables = {}
    for term in TERMS:
        ids = [factor for factor in term.factors if isinstance(factor, Ids)]
        if len(ids) == 2:
            tables[term] = _matrix(term, ids[0], ids[1], features)
        elif len(term.factors) == 2 and ids:
            tables[term] = _slopes(term, ids[0], features)
        elif ids:
            tables[term] = _main_effects(term, ids[0])
    return tables


def _main_effects(term: Term, ids: Ids) -> np.ndarray:
    """Effects of a field's values on one latent, partly common to all latents, [values] float32."""
    values = len(world().names[ids.field])
    common = stream("effect", ids.field).normal(size=values)
    own = stream("effect", ids.field, term.latent).normal(size=values)
    return np.asarray(np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * own, np.float32)


def _slopes(term: Term, ids: Ids, features: Features) -> np.ndarray:
    """Slopes of a numeric field by value of ``ids``, zero on average over the impressions, [values] float32."""
    groups = hidden_groups(ids)
    slope = stream("slope", term.latent, ids.field, term.factors[0].field).normal(size=groups.max() + 1)[groups]
    share = np.bincount(features[ids.field], minlength=len(slope)) / len(features[ids.field])
    return np.asarray(slope - slope @ share, np.float32)


def _matrix(term: Term, first: Ids, second: Ids, features: Features) -> np.ndarray:
    """Effects of pairs of groups, of rank two, without the main effects of either side, [groups, groups] float32."""
    rng = stream("matrix", term.latent, first.field, second.field)
    sides = []
    for ids in (first, second):
        group = hidden_groups(ids)
        share = np.bincount(group[features[ids.field]], minlength=group.max() + 1) / len(features[ids.field])
        factor = rng.normal(size=(len(share), 2))
        sides.append(factor - share @ factor)
    return (sides[0] @ sides[1].T).astype(np.float32)
