import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aitm_kedro.evaluation import significance
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.significance import compare_over_rows, compare_over_seeds, influences, place_rows


def draw(rows: int = 400, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and the scores of two models that see much the same, rounded so that there are ties."""
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.3).astype(np.uint8)
    common = labels + random.normal(size=rows)
    first, second = (np.round(common + 0.7 * random.normal(size=rows), 1) for _ in range(2))
    return labels, first, second


def placed(table: pd.DataFrame, step: str = "click") -> list[np.ndarray]:
    of_step = table[table["step"] == step]
    return [of_step.loc[of_step["label"] == label, "placement"].to_numpy() for label in (0, 1)]


def test_placements_are_shares_of_the_other_class() -> None:
    labels, scores, _ = draw(60)
    table = place_rows(labels[:, None], scores[:, None], steps=["click"])
    for row, label, placement in zip(table["row"], table["label"], table["placement"], strict=True):
        assert labels[row] == label
        others = scores[labels != label]
        wins = (others < scores[row]) if label else (others > scores[row])
        assert placement == pytest.approx((wins + 0.5 * (others == scores[row])).mean(), abs=1e-6)
    assert set(table["row"]) == set(range(60))
    for of_class in placed(table):
        assert of_class.mean() == pytest.approx(auc(labels, scores), abs=1e-6)


def test_a_step_with_one_class_has_no_placements() -> None:
    labels = np.array([[1, 0], [0, 0], [1, 0]], np.uint8)
    table = place_rows(labels, np.random.default_rng(0).random((3, 2)), steps=["click", "buy"])
    assert set(table["step"]) == {"click"}
    assert place_rows(labels[:, 1:], np.zeros((3, 1)), steps=["buy"]).empty


def test_test_over_rows_agrees_with_delongs_matrix() -> None:
    """The covariance matrix of both AUCs, from the definition: every positive against every negative."""
    labels, *both = draw()
    components = []
    for scores in both:
        pairs = (scores[labels == 1][:, None] > scores[labels == 0]) + 0.5 * (
            scores[labels == 1][:, None] == scores[labels == 0]
        )
        components.append((pairs.mean(axis=1), pairs.mean(axis=0)))
    positives, negatives = int(labels.sum()), int((1 - labels).sum())
    by_positive, by_negative = (np.cov([c[k] for c in components]) for k in (0, 1))
    covariance = by_positive / positives + by_negative / negatives
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference = auc(labels, both[0]) - auc(labels, both[1])
    tables = [placed(place_rows(labels[:, None], scores[:, None], steps=["click"])) for scores in both]
    found = compare_over_rows(*tables, difference=difference, counts=(negatives, positives))
    assert found.standard_error == pytest.approx(variance**0.5, rel=1e-5)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(difference) / variance**0.5), rel=1e-4)


def test_p_over_rows_is_uniform_where_there_is_no_difference() -> None:
    values = []
    for seed in range(200):
        labels, *both = draw(300, seed=seed)
        tables = [placed(place_rows(labels[:, None], scores[:, None], steps=["click"])) for scores in both]
        difference = auc(labels, both[0]) - auc(labels, both[1])
        counts = (int((1 - labels).sum()), int(labels.sum()))
        values.append(compare_over_rows(*tables, difference=difference, counts=counts).p)
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_drawn_rows_give_nearly_the_same_error_and_are_the_same_for_every_model(monkeypatch) -> None:
    labels, *both = draw(30_000)
    counts = (int((1 - labels).sum()), int(labels.sum()))
    errors = []
    for limit in (50_000, 4000):
        monkeypatch.setattr(significance, "ROWS_OF_A_CLASS", limit)
        tables = [place_rows(labels[:, None], scores[:, None], steps=["click"]) for scores in both]
        assert tables[0]["row"].equals(tables[1]["row"])
        assert tables[0].groupby("label").size().max() <= limit
        errors.append(compare_over_rows(*map(placed, tables), difference=0.01, counts=counts).standard_error)
    assert errors[1] == pytest.approx(errors[0], rel=0.05)


def test_equal_predictions_and_too_few_rows() -> None:
    labels, scores, _ = draw(50)
    table = placed(place_rows(labels[:, None], scores[:, None], steps=["click"]))
    assert compare_over_rows(table, table, difference=0.0, counts=(40, 10)).p == 1
    assert compare_over_rows(table, table, difference=0.1, counts=(40, 1)).note == (
        "a class has fewer than two test rows"
    )


def test_test_over_seeds_is_the_paired_t_test() -> None:
    first, second = [0.80, 0.82, 0.81, 0.83, 0.80], [0.79, 0.80, 0.80, 0.81, 0.80]
    found = compare_over_seeds(first, second)
    assert found.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert found.difference == pytest.approx(np.mean(first) - np.mean(second))
    assert found.note == ""


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ([0.8], [0.7], "needs two at least; the runs have 1 in common"),
        ([], [], "the runs have 0 in common"),
        ([0.8, 0.9], [0.7, 0.8], "differ by the same amount"),
    ],
)
def test_where_no_test_over_seeds_is_possible_p_is_blank_with_the_reason(first, second, reason) -> None:
    found = compare_over_seeds(np.round(first, 3), np.round(second, 3))
    if reason.startswith("differ"):
        found = compare_over_seeds([0.75, 0.75], [0.5, 0.5])
    assert found.p is None
    assert reason in found.note


def with_weights(rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    weights = np.random.default_rng(5).gamma(1, size=rows)
    weights[::9] = 0
    return (*draw(rows), weights)


def weights_of(table: pd.DataFrame) -> list[np.ndarray]:
    return [table.loc[table["label"] == label, "weight"].to_numpy() for label in (0, 1)]


def test_weighted_placements_are_shares_of_the_other_class_by_weight() -> None:
    labels, scores, _, weights = with_weights(60)
    table = place_rows(labels[:, None], scores[:, None], steps=["click"], row_weights=weights)
    assert table["weight"].dtype == np.float32
    assert set(table["row"]) == set(np.flatnonzero(weights))
    for row, label, placement, weight in table[["row", "label", "placement", "weight"]].itertuples(index=False):
        others = labels != label
        wins = (scores[others] < scores[row]) if label else (scores[others] > scores[row])
        right = wins + 0.5 * (scores[others] == scores[row])
        assert placement == pytest.approx(np.average(right, weights=weights[others]), abs=1e-6)
        assert weight == pytest.approx(weights[row])
    for of_class, of_weights in zip(placed(table), weights_of(table), strict=True):
        assert np.average(of_class, weights=of_weights) == pytest.approx(auc(labels, scores, weights), abs=1e-6)


def test_weighted_test_over_rows_follows_its_formula() -> None:
    labels, *both, weights = with_weights()
    tables = [place_rows(labels[:, None], scores[:, None], steps=["click"], row_weights=weights) for scores in both]
    variance, counts = 0.0, []
    for label in (0, 1):
        w = weights_of(tables[0])[label].astype(float)
        d = placed(tables[0])[label].astype(float) - placed(tables[1])[label]
        mean, n = (w * d).sum() / w.sum(), len(d)
        variance += sum((w * (d - mean)) ** 2) / w.sum() ** 2 * n / (n - 1)
        counts.append(n)
    difference = auc(labels, both[0], weights) - auc(labels, both[1], weights)
    found = compare_over_rows(*map(placed, tables), difference=difference, counts=counts, weights=weights_of(tables[0]))
    assert found.standard_error == pytest.approx(variance**0.5)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(difference) / variance**0.5))


def test_weights_that_are_all_alike_are_as_none() -> None:
    labels, *both = draw()
    counts = (int((1 - labels).sum()), int(labels.sum()))
    plain, alike = (
        [place_rows(labels[:, None], scores[:, None], steps=["click"], row_weights=given) for scores in both]
        for given in (None, np.full(400, 0.5))
    )
    expected = compare_over_rows(*map(placed, plain), difference=0.01, counts=counts)
    found = compare_over_rows(*map(placed, alike), difference=0.01, counts=counts, weights=weights_of(alike[0]))
    assert tuple(found)[:3] == pytest.approx(tuple(expected)[:3], rel=1e-5)


def test_p_over_weighted_rows_is_uniform_where_there_is_no_difference() -> None:
    values = []
    for seed in range(200):
        labels, *both = draw(300, seed=seed)
        weights = np.random.default_rng(seed).gamma(1, size=300)
        tables = [place_rows(labels[:, None], scores[:, None], steps=["click"], row_weights=weights) for scores in both]
        difference = auc(labels, both[0], weights) - auc(labels, both[1], weights)
        counts = (int((1 - labels).sum()), int(labels.sum()))
        found = compare_over_rows(
            *map(placed, tables), difference=difference, counts=counts, weights=weights_of(tables[0])
        )
        values.append(found.p)
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_drawn_weighted_rows_give_nearly_the_same_error(monkeypatch) -> None:
    labels, *both, weights = with_weights(30_000)
    counts = [int(((labels == label) & (weights > 0)).sum()) for label in (0, 1)]
    errors = []
    for limit in (50_000, 4000):
        monkeypatch.setattr(significance, "ROWS_OF_A_CLASS", limit)
        tables = [place_rows(labels[:, None], scores[:, None], steps=["click"], row_weights=weights) for scores in both]
        found = compare_over_rows(*map(placed, tables), difference=0.01, counts=counts, weights=weights_of(tables[0]))
        errors.append(found.standard_error)
    assert errors[1] == pytest.approx(errors[0], rel=0.1)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_influences_give_the_variance_of_a_difference(is_weighted) -> None:
    labels, first, second, weights = with_weights(600)
    weights = weights if is_weighted else None
    tables = [
        place_rows(labels[:, None], scores[:, None], steps=["click"], row_weights=weights) for scores in (first, second)
    ]
    present = np.ones(len(labels), bool) if weights is None else weights > 0
    counts = [int(((labels == label) & present).sum()) for label in (0, 1)]
    expected = compare_over_rows(
        *map(placed, tables),
        difference=0.1,
        counts=counts,
        weights=None if weights is None else weights_of(tables[0]),
    )
    moved = influences(labels, first, weights) - influences(labels, second, weights)
    assert (moved @ moved) ** 0.5 == pytest.approx(expected.standard_error, rel=0.01)
    assert moved.sum() == pytest.approx(0, abs=1e-9)
