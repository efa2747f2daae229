"""The two parts of validation, and windows of it."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec, ValueStatistics
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.learning.parameters import ValidationOptions
from aitm_kedro.learning.validation import Window, cut_validation, roll


def _examples(rows: int, positives: np.ndarray | None = None) -> Examples:
    labels = np.zeros((rows, 1), np.uint8)
    labels[np.arange(0, rows, 3) if positives is None else positives] = 1
    ids = np.zeros((rows, 1), np.int32)
    return Examples(ids=ids, labels=labels, fields=("a",), steps=("click",), impression_id=np.arange(rows))


@pytest.mark.parametrize("by", ["auto", "time"])
def test_the_latest_rows_select(by: str) -> None:
    parts = cut_validation(_examples(100), ValidationOptions(by=by, selection_share=0.3), is_chronological=True)
    assert list(parts.stopping.impression_id) == list(range(70))
    assert list(parts.selection.impression_id) == list(range(70, 100))


@pytest.mark.parametrize(("by", "is_chronological"), [("auto", False), ("hash", True)])
def test_a_hash_of_the_ids_selects(by: str, is_chronological: bool) -> None:
    options = ValidationOptions(by=by, selection_share=0.3)
    valid = _examples(10_000)
    parts = cut_validation(valid, options, is_chronological=is_chronological)
    assert len(parts.selection) == pytest.approx(3000, abs=150)
    assert sorted([*parts.stopping.impression_id, *parts.selection.impression_id]) == list(range(10_000))
    # A row is where it is by its id, whatever rows stand around it.
    again = cut_validation(valid.take(np.arange(5000, 10_000)), options, is_chronological=is_chronological)
    assert set(again.selection.impression_id) == {row for row in parts.selection.impression_id if row >= 5000}


def test_ids_of_text_are_hashed_too() -> None:
    valid = _examples(1000)
    texts = replace(valid, impression_id=np.array([f"row {k}" for k in range(1000)], object))
    parts = cut_validation(texts, ValidationOptions(by="hash"), is_chronological=True)
    assert 400 < len(parts.selection) < 600


def test_without_a_share_all_rows_do_both() -> None:
    valid = _examples(100)
    parts = cut_validation(valid, ValidationOptions(selection_share=0), is_chronological=True)
    assert parts.stopping is valid
    assert parts.selection is valid


def test_too_few_positives_for_two_parts_are_told(caplog: pytest.LogCaptureFixture) -> None:
    valid = _examples(100, positives=np.array([3, 20]))
    parts = cut_validation(valid, ValidationOptions(), is_chronological=True)
    assert parts.stopping is parts.selection is valid
    assert "too few positives of 'click' to be cut in two (100 rows)" in caplog.text
    assert "validation.selection_share to 0" in caplog.text


def test_a_step_of_one_class_in_all_of_validation_is_no_reason(caplog: pytest.LogCaptureFixture) -> None:
    parts = cut_validation(_examples(100, positives=np.array([], int)), ValidationOptions(), is_chronological=True)
    assert len(parts.stopping) == len(parts.selection) == 50
    assert not caplog.text


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_leaves_nothing(share: float) -> None:
    with pytest.raises(ValidationError):
        ValidationOptions(selection_share=share)


class TestRoll:
    """Windows of rolling validation."""

    FEATURES = (
        FeatureSpec(name="shop", kind="categorical", ids=5),
        FeatureSpec(
            name="age",
            kind="numeric",
            ids=3,
            edges=(1.0,),
            statistics=ValueStatistics(mean=1, std=1, minimum=0, maximum=2, null_share=0),
        ),
        FeatureSpec(name="tags", kind="list", ids=4),
    )

    def rows(self, count: int, shops: np.ndarray, *, start: int = 0) -> Examples:
        ids = np.stack([shops, np.arange(count) % 3], axis=1).astype(np.int32)
        tags = Ragged(values=(1 + np.arange(count) % 3).astype(np.int32), offsets=np.arange(count + 1, dtype=np.int64))
        return Examples(
            ids=ids,
            labels=np.zeros((count, 1), np.uint8),
            fields=("shop", "age", "tags"),
            steps=("click",),
            impression_id=start + np.arange(count),
            lists={"tags": tags},
        )

    def roll(self, windows: int, *, min_count: int = 1) -> list[Window]:
        # The shop 3 is there from the row 50 on, once in ten rows.
        shops = np.where((np.arange(80) >= 50) & (np.arange(80) % 10 == 0), 3, 1 + np.arange(80) % 2)
        train, valid = self.rows(80, shops), self.rows(20, np.full(20, 3), start=80)
        return list(roll(train, valid, windows=windows, features=self.FEATURES, min_count=min_count))

    def test_each_learns_from_all_rows_before_it_and_the_last_is_validation(self) -> None:
        windows = self.roll(3)
        ends = [(window.train.impression_id[-1], *window.valid.impression_id[[0, -1]]) for window in windows]
        assert ends == [(39, 40, 59), (59, 60, 79), (79, 80, 99)]
        assert all(window.train.impression_id[0] == 0 for window in windows)

    def test_what_a_window_has_not_seen_is_unknown_in_it(self) -> None:
        first, second, last = self.roll(3)
        assert 3 not in first.train.ids[:, 0]
        assert first.valid.ids[10, 0] == 0  # the row 50
        assert set(first.valid.ids[:, 0]) == {0, 1, 2}
        assert 3 in second.valid.ids[:, 0]
        assert 3 in last.valid.ids[:, 0]

    def test_what_it_has_seen_too_rarely_as_well(self) -> None:
        second = self.roll(2, min_count=3)[0]
        assert not (second.train.ids[:, 0] == 3).any()  # once, in the row 50
        assert (second.train.ids[50, 0], second.valid.ids[0, 0]) == (0, 0)

    def test_bins_of_numbers_stay_and_values_of_lists_go(self) -> None:
        first = self.roll(3, min_count=14)[0]  # of 40 rows, each tag is in 13 or 14, each bin too
        assert set(first.train.ids[:, 1]) == {0, 1, 2}
        assert set(first.train.lists["tags"].values) == {0, 1}
        assert np.array_equal(first.valid.lists["tags"].offsets, np.arange(21))

    def test_one_window_is_validation(self) -> None:
        (only,) = self.roll(1)
        assert (len(only.train), len(only.valid)) == (80, 20)

    def test_too_many_windows(self) -> None:
        sentence = (
            r"rolling.windows is 5, and each is as long as validation \(20 rows\), which leaves 0 of 80 train rows to "
            r"learn from in the earliest; set it to 4 or less, or split.valid_share to less"
        )
        with pytest.raises(InputError, match=sentence):
            self.roll(5)
        assert len(self.roll(4)) == 4
