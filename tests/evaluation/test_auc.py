"""AUC, its interval, and average precision, against their definitions by loops over pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from aitm_kedro.core.errors import InputError
from aitm_kedro.evaluation.auc import (
    auc,
    auc_interval,
    auc_of_ranks,
    average_precision_of_ranks,
    delong_variance,
    rank,
)


def auc_by_pairs(labels: list[int], scores: list[float]) -> float:
    """Every positive against every negative."""
    wins = 0.0
    positives = [score for label, score in zip(labels, scores, strict=True) if label]
    negatives = [score for label, score in zip(labels, scores, strict=True) if not label]
    for positive in positives:
        for negative in negatives:
            wins += 1.0 if positive > negative else 0.5 if positive == negative else 0.0
    return wins / (len(positives) * len(negatives))


def variance_by_placement(labels: list[int], scores: list[float]) -> float:
    """DeLong's variance from the placement value of each row, one at a time."""
    positives = [score for label, score in zip(labels, scores, strict=True) if label]
    negatives = [score for label, score in zip(labels, scores, strict=True) if not label]

    def beats(one: float, other: float) -> float:
        return 1.0 if one > other else 0.5 if one == other else 0.0

    of_positives = [sum(beats(p, n) for n in negatives) / len(negatives) for p in positives]
    of_negatives = [sum(beats(p, n) for p in positives) / len(positives) for n in negatives]
    return float(np.var(of_positives, ddof=1) / len(positives) + np.var(of_negatives, ddof=1) / len(negatives))


def precision_by_thresholds(labels: list[int], scores: list[float]) -> float:
    """For each threshold from the top: recall gained times precision."""
    total, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        admitted = [label for label, score in zip(labels, scores, strict=True) if score >= threshold]
        recall = sum(admitted) / sum(labels)
        total += (recall - recall_before) * sum(admitted) / len(admitted)
        recall_before = recall
    return total


# Few distinct scores, so that ties are common.
rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=40)


@given(rows)
@settings(max_examples=200, deadline=None)
def test_auc_is_the_share_of_pairs_won(table: list[tuple[int, int]]) -> None:
    labels, scores = [row[0] for row in table], [row[1] / 7 for row in table]
    found = auc(np.array(labels, np.uint8), np.array(scores, np.float32))
    if sum(labels) in (0, len(labels)):
        assert found is None
    else:
        assert found == pytest.approx(auc_by_pairs(labels, [np.float32(score) for score in scores]), abs=1e-12)


@given(rows)
@settings(max_examples=200, deadline=None)
def test_variance_and_average_precision_follow_their_definitions(table: list[tuple[int, int]]) -> None:
    labels, scores = [row[0] for row in table], [row[1] / 7 for row in table]
    ranks = rank(np.array(labels), np.array(scores))
    if sum(labels):
        assert average_precision_of_ranks(ranks) == pytest.approx(precision_by_thresholds(labels, scores), abs=1e-12)
    else:
        assert average_precision_of_ranks(ranks) is None
    if min(sum(labels), len(labels) - sum(labels)) < 2:
        assert delong_variance(ranks) is None
    else:
        assert delong_variance(ranks) == pytest.approx(variance_by_placement(labels, scores), abs=1e-12)


def weighted_auc_by_pairs(labels: list[int], scores: list[float], weights: list[float]) -> float:
    """Every positive against every negative, a pair counting with the product of its weights."""
    wins = total = 0.0
    for one, positive, of_one in zip(labels, scores, weights, strict=True):
        for other, negative, of_other in zip(labels, scores, weights, strict=True):
            if one and not other:
                wins += of_one * of_other * (1.0 if positive > negative else 0.5 if positive == negative else 0.0)
                total += of_one * of_other
    return wins / total


def weighted_variance_by_placement(labels: list[int], scores: list[float], weights: list[float]) -> float:
    """sum w^2 (v - A)^2 / (sum w)^2 * n / (n - 1) over both classes, from the placement of each row."""
    area = weighted_auc_by_pairs(labels, scores, weights)
    variance = 0.0
    for label in (1, 0):
        spread = size = total = 0.0
        for own, score, weight in zip(labels, scores, weights, strict=True):
            if own == label and weight > 0:
                # A row against the other class is the AUC of the table in which it alone stands for its class.
                alone = [row for row, other in enumerate(labels) if other != label]
                placement = weighted_auc_by_pairs(
                    [label, *(labels[row] for row in alone)],
                    [score, *(scores[row] for row in alone)],
                    [1.0, *(weights[row] for row in alone)],
                )
                spread += weight**2 * (placement - area) ** 2
                size, total = size + 1, total + weight
        variance += spread / total**2 * size / (size - 1)
    return variance


weighted_rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6), st.sampled_from([0.0, 0.25, 1.0, 3.5])), min_size=2, max_size=25
)


@given(weighted_rows)
@settings(max_examples=200, deadline=None)
def test_weighted_numbers_follow_their_definitions(table: list[tuple[int, int, float]]) -> None:
    labels, scores, weights = ([row[k] for row in table] for k in range(3))
    ranks = rank(np.array(labels), np.array(scores), np.array(weights))
    counts = [sum(label == own and weight > 0 for own, _, weight in table) for label in (1, 0)]
    assert list(ranks.rows) == counts
    found = auc(np.array(labels), np.array(scores), np.array(weights))
    if 0 in counts:
        assert found is None
    else:
        assert found == pytest.approx(weighted_auc_by_pairs(labels, scores, weights), abs=1e-12)
    if min(counts) < 2:
        assert delong_variance(ranks) is None
    else:
        expected = weighted_variance_by_placement(labels, scores, weights)
        assert delong_variance(ranks) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 4)), min_size=2, max_size=40))
@settings(max_examples=200, deadline=None)
def test_whole_weights_are_repeated_rows(table: list[tuple[int, int, int]]) -> None:
    labels, scores, weights = (np.array([row[k] for row in table]) for k in range(3))
    weighted = rank(labels, scores, weights)
    repeated = rank(np.repeat(labels, weights), np.repeat(scores, weights))
    assert auc(labels, scores, weights) == pytest.approx(auc_of_ranks(repeated), abs=1e-12)
    assert average_precision_of_ranks(weighted) == pytest.approx(average_precision_of_ranks(repeated), abs=1e-12)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_weights_agree_with_scikit_learn_and_equal_ones_with_none(kind: type) -> None:
    rng = np.random.default_rng(3)
    labels = rng.random(20_000) < 0.05
    scores = (rng.normal(size=20_000) + labels).round(2)
    weights = (rng.gamma(2, size=20_000) * (rng.random(20_000) < 0.9)).astype(kind)
    ranks = rank(labels, scores, weights)
    assert auc_of_ranks(ranks) == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights), abs=1e-9)
    expected = average_precision_score(labels, scores, sample_weight=weights)
    assert average_precision_of_ranks(ranks) == pytest.approx(expected, abs=1e-9)
    alike = auc_interval(labels, scores, np.full(20_000, 2.5, kind), confidence=0.95)
    assert alike == pytest.approx(auc_interval(labels, scores, confidence=0.95), abs=1e-12)


def test_weighted_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    truth = norm.cdf(1 / np.sqrt(2))  # two unit normals, one apart; weights say nothing of the scores
    labels = np.repeat([0, 1], [300, 120])
    hits = 0
    for _ in range(500):
        weights = rng.gamma(1, size=420)
        _, low, high = auc_interval(labels, rng.normal(size=420) + labels, weights, confidence=0.8)
        hits += low <= truth <= high  # type: ignore[operator]
    assert hits / 500 == pytest.approx(0.8, abs=0.06)


def test_agrees_with_scikit_learn_on_many_rows() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(50_000) < 0.02
    scores = (rng.normal(size=50_000) + labels).astype(np.float32).round(2)
    ranks = rank(labels, scores)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision_of_ranks(ranks) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


def test_interval_is_as_wide_as_the_bootstrap_finds() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [400, 80])
    scores = rng.normal(size=480) + 1.2 * labels
    value, low, high = auc_interval(labels, scores, confidence=0.9)
    again = []
    for _ in range(1500):
        chosen = np.concatenate([rng.integers(0, 400, 400), rng.integers(400, 480, 80)])
        again.append(auc(labels[chosen], scores[chosen]))
    assert None not in (value, low, high)
    assert (high - low) / (2 * norm.ppf(0.95)) == pytest.approx(np.std(again), rel=0.08)  # type: ignore[operator]
    assert [low, high] == pytest.approx(np.quantile(again, [0.05, 0.95]), abs=0.01)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    truth = norm.cdf(1 / np.sqrt(2))  # two unit normals, one apart
    labels = np.repeat([0, 1], [200, 60])
    hits = 0
    for _ in range(600):
        _, low, high = auc_interval(labels, rng.normal(size=260) + labels, confidence=0.8)
        hits += low <= truth <= high  # type: ignore[operator]
    assert hits / 600 == pytest.approx(0.8, abs=0.05)


def test_interval_is_cut_at_one_and_absent_where_nobody_knows() -> None:
    labels = np.array([0] * 30 + [1] * 4)
    scores = np.array([*range(30), 28.5, 40, 41, 42], float)
    assert auc_interval(labels, scores, confidence=0.99).high == 1
    assert auc_interval(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3]), confidence=0.95) == (1.0, None, None)
    assert auc_interval(np.ones(3), np.arange(3.0), confidence=0.95) == (None, None, None)
    assert auc(np.zeros(0), np.zeros(0)) is None


def test_nan_ends_in_a_sentence() -> None:
    with pytest.raises(InputError, match=r"1 of 3 predictions are NaN: .* training.learning_rate"):
        auc(np.array([0, 1, 1]), np.array([0.2, np.nan, 0.1]))
