"""Lists of any length as flat arrays, against lists of Python."""

import numpy as np
import pytest

from aitm_kedro.core.ragged import Ragged

Rows = list[list[tuple[int, float]]]


def draw_rows(rows: int, *, seed: int) -> Rows:
    """Pairs of value and weight; rows without any, equal weights, and weights of 0 among them."""
    draw = np.random.default_rng(seed)
    return [
        [(int(draw.integers(9)), float(draw.integers(4)) / 2) for _ in range(draw.integers(5))] for _ in range(rows)
    ]


def ragged(rows: Rows, *, weighted: bool = True) -> Ragged:
    return Ragged(
        np.cumsum([0, *map(len, rows)], dtype=np.int64),
        np.array([value for row in rows for value, _ in row], np.int32),
        np.array([weight for row in rows for _, weight in row], np.float32) if weighted else None,
    )


def assert_same(found: Ragged, expected: Ragged) -> None:
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.offsets.dtype == np.int64
    assert found.values.dtype == np.int32
    assert (found.weights is None) == (expected.weights is None)
    if expected.weights is not None:
        assert found.weights.dtype == np.float32
        np.testing.assert_array_equal(found.weights, expected.weights)


def test_length_and_lengths() -> None:
    lists = ragged([[(1, 0.0), (2, 1.0)], [], [(3, 1.0)]])
    assert len(lists) == 3
    assert lists.lengths.tolist() == [2, 0, 1]


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("chosen", [[], [0], [7, 7, 2], list(range(40))[::-1], list(range(40))])
def test_take_is_a_choice_of_rows(weighted: bool, chosen: list[int]) -> None:
    rows = draw_rows(40, seed=0)
    found = ragged(rows, weighted=weighted).take(np.array(chosen, np.int32))
    assert_same(found, ragged([rows[row] for row in chosen], weighted=weighted))


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_heaviest_keeps_the_first_of_equal_weights_and_the_order(count: int) -> None:
    rows = draw_rows(60, seed=1)
    expected = []
    for row in rows:
        kept = sorted(range(len(row)), key=lambda place: -row[place][1])[:count]
        expected.append([row[place] for place in sorted(kept)])
    assert_same(ragged(rows).heaviest(count), ragged(expected))
    assert ragged([[(5, 1.0), (6, 2.0), (7, 1.0), (8, 2.0)]]).heaviest(3).values.tolist() == [5, 6, 8]


@pytest.mark.parametrize("weighted", [True, False])
def test_concatenate_is_one_after_another(weighted: bool) -> None:
    parts = [draw_rows(rows, seed=rows) for rows in (3, 0, 20, 1)]
    found = Ragged.concatenate([ragged(part, weighted=weighted) for part in parts])
    assert_same(found, ragged([row for part in parts for row in part], weighted=weighted))


@pytest.mark.parametrize("weighted", [True, False])
def test_shares_are_weights_over_their_sum_and_alike_without_any(weighted: bool) -> None:
    rows = [*draw_rows(60, seed=2), [(1, 0.0), (1, 0.0), (2, 0.0)], []]
    expected = []
    for row in rows:
        total = sum(weight for _, weight in row) if weighted else 0
        expected += [weight / total if total else 1 / len(row) for _, weight in row]
    found = ragged(rows, weighted=weighted).shares()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_shares_of_weights_of_any_size() -> None:
    lists = Ragged(np.array([0, 2, 4]), np.arange(4), np.array([3e38, 3e38, 1e-45, 0], np.float32))
    assert lists.shares().tolist() == [0.5, 0.5, 1, 0]
