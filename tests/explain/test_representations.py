"""Rows drawn for the t-SNE and transfer figures, and what is said of them."""

import numpy as np
import pandas as pd
import pytest

from aitm_kedro.explain.representations import draw_balanced, lay_out, quarter_of_rank
from aitm_kedro.explain.transfer_weights import draw_groups, flat_pairs, summarise_weights


def test_quarters_of_a_ranking() -> None:
    assert list(quarter_of_rank(np.array([5.0, 1, 7, 3, 2, 8, 6, 4]))) == [2, 0, 3, 1, 0, 3, 2, 1]
    assert list(quarter_of_rank(np.array([2.0, 1.0]))) == [2, 0]
    assert len(quarter_of_rank(np.zeros(0))) == 0


@pytest.mark.parametrize(("positives", "expected"), [(80, 50), (20, 20), (0, 0)])
def test_draws_as_many_positives_as_negatives(positives: int, expected: int) -> None:
    labels = np.zeros(400, np.uint8)
    labels[:positives] = 1
    drawn = draw_balanced(labels, rows=50, rng=np.random.default_rng(0))
    assert len(set(drawn)) == len(drawn) == 2 * expected
    assert labels[drawn].sum() == expected


def test_positives_are_ranked_downwards_and_negatives_upwards() -> None:
    labels = np.array([1] * 8 + [0] * 8)
    scores = np.concatenate([np.linspace(0.9, 0.2, 8), np.linspace(0.1, 0.8, 8)])
    points = lay_out({"AIT": np.eye(16, 4)}, labels, scores, step="buy", seed=0)
    assert list(points["quarter"]) == [0, 0, 1, 1, 2, 2, 3, 3] * 2
    assert np.isfinite(points[["x", "y"]]).all(axis=None)


def test_neighbours_of_the_same_class_are_counted_row_by_row() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([1, 0], 20)
    vectors = rng.normal(size=(40, 5)) + labels[:, None]
    points = lay_out({"AIT": vectors}, labels, rng.random(40), step="buy", seed=0)
    for row in range(40):
        distances = sorted(
            (float(((vectors[row] - vectors[other]) ** 2).sum()), other) for other in range(40) if other != row
        )
        same = sum(labels[other] == labels[row] for _, other in distances[:10]) / 10
        assert points["same_class"][row] == pytest.approx(same)


def test_a_silent_tower_is_a_point() -> None:
    points = lay_out({"AIT": np.zeros((20, 4))}, np.repeat([0, 1], 10), np.arange(20.0), step="buy", seed=0)
    assert (points[["x", "y"]] == 0).all(axis=None)


def test_groups_hold_the_labels_they_are_named_after() -> None:
    earlier, later = np.array([0, 1, 1, 0, 1, 1]), np.array([0, 0, 1, 0, 0, 0])
    groups = draw_groups(earlier, later, rows=2, rng=np.random.default_rng(0))
    assert list(groups[0, 0].rows) == [0, 3]
    assert list(groups[1, 1].rows) == [2]
    assert set(groups[1, 0].rows) <= {1, 4, 5}
    assert [(len(drawn.rows), drawn.available) for drawn in groups.values()] == [(2, 2), (2, 3), (1, 1)]


def test_weights_are_averaged_along_the_ranking_by_log_loss() -> None:
    weights = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])  # positives: the loss rises along the rows
    pair = ("click", "buy")
    table = summarise_weights(weights, np.ones(8), scores, pair=pair, group=(1, 1), available=99)
    assert table["weight_mean"].tolist() == pytest.approx([0.15, 0.35, 0.55, 0.75])
    assert table["weight_std"].tolist() == pytest.approx([0.05] * 4)
    assert table["log_loss_mean"].iloc[0] == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)
    assert (table[["rows", "drawn", "available"]] == [2, 8, 99]).all(axis=None)
    negatives = summarise_weights(weights, np.zeros(8), scores, pair=pair, group=(0, 0), available=9)
    assert negatives["weight_mean"].tolist() == pytest.approx([0.75, 0.55, 0.35, 0.15])


def test_a_quarter_without_rows_has_no_mean() -> None:
    table = summarise_weights(np.zeros(0), np.zeros(0), np.zeros(0), pair=("click", "buy"), group=(1, 1), available=0)
    assert table["rows"].tolist() == [0] * 4
    assert table["weight_mean"].isna().all()


def test_a_pair_is_flat_where_all_its_weights_are_close_to_one_half() -> None:
    def table(pair: tuple[str, str], weights: list[float]) -> pd.DataFrame:
        scores = np.linspace(0.9, 0.1, len(weights))
        labels = np.ones(len(weights))
        return summarise_weights(np.array(weights), labels, scores, pair=pair, group=(1, 1), available=9)

    flat = table(("click", "buy"), [0.49, 0.51, 0.47, 0.5, 0.5, 0.5, 0.5, 0.5])
    empty = table(("buy", "pay"), [])
    assert flat_pairs(pd.concat([flat, table(("buy", "keep"), [0.5] * 7 + [0.56]), empty])) == [("click", "buy")]
    assert flat_pairs(table(("buy", "pay"), [0.9] * 8)) == []  # learnt: to listen, whatever comes
    assert flat_pairs(table(("buy", "pay"), [0.4, 0.6] * 4)) == []  # learnt, although the mean is one half
