"""The two parts of validation."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.parameters import ValidationOptions
from aitm_kedro.learning.validation import cut_validation


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
