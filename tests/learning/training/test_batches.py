"""Batches of examples with lists: every row has its own, in whatever order rows come."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from tests.learning.data import fit, make_network, specs_of

from aitm_kedro.core.examples import Examples
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.training.batches import as_batch, ordered_batches, shuffled_batches
from aitm_kedro.learning.training.predict import predict

SIZES = (500, 12, 8)  # of "row", "tags" (weighted) and "shops"
FEATURES = specs_of(SIZES[:1], lists=SIZES[1:], names=("row", "tags", "shops"))
CPU = torch.device("cpu")


def make_examples(rows: int = 500, *, seed: int = 0) -> Examples:
    """The one id of a row is its number; whether it is clicked depends on the share of tag 1."""
    random = np.random.default_rng(seed)
    lists = {}
    for name, size, weighted in (("tags", SIZES[1], True), ("shops", SIZES[2], False)):
        offsets = np.concatenate([[0], random.integers(1, 5, rows).cumsum()])
        ids = random.integers(size, size=offsets[-1]).astype(np.int32)
        ids[random.random(len(ids)) < 0.3] = 1
        weights = random.choice([0, 0.5, 1, 2], offsets[-1]).astype(np.float32) if weighted else None
        lists[name] = Ragged(offsets, ids, weights)
    share = np.array([row.get(1, 0) for row in as_shares(lists["tags"])])
    click = random.random(rows) < 0.1 + 0.8 * share
    return Examples(
        ids=np.arange(rows, dtype=np.int32)[:, None],
        labels=np.stack([click, click & (random.random(rows) < 0.5)], axis=1).astype(np.uint8),
        fields=("row", "tags", "shops"),
        steps=("click", "buy"),
        impression_id=np.arange(rows),
        numeric=("row",),
        values=np.where(np.arange(rows) % 10 == 9, np.nan, np.arange(rows) / 2).astype(np.float32)[:, None],
        lists=lists,
        row_weights=(1 + np.arange(rows, dtype=np.float32) % 3),
    )


def as_shares(lists: Ragged) -> list[dict[int, float]]:
    """Of each row, the share of each id."""
    result = []
    for start, stop in zip(lists.offsets, lists.offsets[1:], strict=False):
        ids = lists.values[start:stop].tolist()
        weights = [1.0] * len(ids) if lists.weights is None else lists.weights[start:stop].tolist()
        if not sum(weights):
            weights = [1.0] * len(ids)
        row: dict[int, float] = {}
        for one, weight in zip(ids, weights, strict=True):
            row[one] = row.get(one, 0) + weight / sum(weights)
        result.append(row)
    return result


def shares_in(batch: Batch, field: int, *, fields: int) -> list[dict[int, float]]:
    """The same, from a batch."""
    result: list[dict[int, float]] = [{} for _ in batch.ids]
    for one, of, place, weight in zip(*(part.tolist() for part in batch.lists), strict=True):
        assert place % fields == of
        if of == field:
            result[place // fields][one] = result[place // fields].get(one, 0) + weight
    return result


def check(batch: Batch, examples: Examples) -> None:
    """Each row of a batch has the lists of its example, which its one id names."""
    assert [part.dtype for part in batch.lists] == [torch.int64, torch.int64, torch.int64, torch.float32]
    for field, lists in enumerate(examples.lists.values()):
        expected = as_shares(lists)
        found = shares_in(batch, field, fields=len(examples.lists))
        assert found == [pytest.approx(expected[row]) for row in batch.ids[:, 0].tolist()]
        assert [sum(row.values()) for row in found] == pytest.approx([1] * len(found))


def check_values(batch: Batch, rows: np.ndarray) -> None:
    expected = np.where(rows % 10 == 9, np.nan, rows / 2)
    np.testing.assert_array_equal(batch.values, expected[:, None].astype(np.float32))
    assert batch.values.dtype == torch.float32


def test_shuffled_rows_keep_their_lists_values_and_weights() -> None:
    examples, generator = make_examples(), torch.Generator().manual_seed(0)
    batches = list(shuffled_batches(examples, batch_size=7, generator=generator, device=CPU))  # several chunks
    rows = torch.cat([labelled.batch.ids[:, 0] for labelled in batches]).numpy()
    assert np.array_equal(np.sort(rows), np.arange(500))
    assert not np.array_equal(rows, np.arange(500))
    for batch, labels, row_weights in batches:
        check(batch, examples)
        here = batch.ids[:, 0].numpy()
        check_values(batch, here)
        np.testing.assert_array_equal(labels, examples.labels[here])
        np.testing.assert_array_equal(row_weights, 1 + here % 3)
        assert (labels.dtype, row_weights.dtype) == (torch.float32, torch.float32)


def test_what_examples_have_not_a_batch_has_not() -> None:
    bare = replace(make_examples(30).of_fields(["row"]).without_values(), row_weights=None)
    (labelled,) = shuffled_batches(bare, batch_size=30, generator=torch.Generator(), device=CPU)
    assert (labelled.batch.values, labelled.batch.lists, labelled.row_weights) == (None, None, None)
    assert as_batch(bare)[1:] == (None, None)


@pytest.mark.parametrize("batch_size", [1, 64, 1000])
def test_rows_in_order_keep_their_lists_and_values(batch_size: int) -> None:
    examples = make_examples(130)
    batches = list(ordered_batches(examples, batch_size=batch_size, device=CPU))
    assert torch.cat([batch.ids[:, 0] for batch in batches]).tolist() == list(range(130))
    for batch in batches:
        check(batch, examples)
        check_values(batch, batch.ids[:, 0].numpy())
    check(as_batch(examples), examples)


def test_no_rows_are_a_batch_too() -> None:
    batch = as_batch(make_examples(30).take(np.arange(0)))
    assert (batch.ids.shape, batch.values.shape, len(batch.lists.ids)) == ((0, 1), (0, 1), 0)


def test_predictions_do_not_depend_on_the_batches() -> None:
    examples = make_examples()
    torch.manual_seed(0)
    model = make_network("aitm", FEATURES, examples.steps)
    whole = predict(model, examples)
    for batch_size in (1, 33, 499):
        np.testing.assert_allclose(predict(model, examples, batch_size=batch_size), whole, atol=1e-6)
    rows = np.array([400, 3, 3, 77])
    np.testing.assert_allclose(predict(model, examples.take(rows)), whole[rows], atol=1e-6)
    assert predict(model, examples.take(rows[:0])).shape == (0, 2)


@pytest.mark.parametrize("updates", ["lazy", "dense"])
def test_networks_learn_from_lists_what_no_other_field_tells(as_examples: Callable, updates: str) -> None:
    """From files, and the same from memory."""
    train, valid = make_examples(2000), make_examples(500, seed=1)
    on_disk = [as_examples(as_table(examples)) for examples in (train, valid)]
    assert isinstance(on_disk[0].lists["tags"].weights, np.memmap)
    tags, shops = FEATURES[1:]
    found = [
        fit(
            "shared_bottom",
            *(part.of_fields(["tags", "shops"]) for part in parts),
            features=[tags, shops],
            main_steps=["click"],
            batch_size=50,
            embedding_updates=updates,
        )
        for parts in ((train, valid), on_disk)
    ]
    predictions = [trained.predict(valid.of_fields(["tags", "shops"])) for trained in found]
    assert np.array_equal(*predictions)
    best = auc(valid.labels[:, 0], [row.get(1, 0) for row in as_shares(valid.lists["tags"])])
    assert best - 0.03 < auc(valid.labels[:, 0], predictions[0][:, 0])


def as_table(examples: Examples) -> pa.Table:
    columns = {"impression_id": examples.impression_id, "row": examples.ids[:, 0]}
    columns |= {"_value_row": examples.values[:, 0], "_row_weight": examples.row_weights}
    columns |= {step: examples.labels[:, t].astype(np.int8) for t, step in enumerate(examples.steps)}
    for name, lists in examples.lists.items():
        offsets = lists.offsets.astype(np.int32)
        columns[name] = pa.ListArray.from_arrays(offsets, lists.values)
        if lists.weights is not None:
            columns[f"_weights_{name}"] = pa.ListArray.from_arrays(offsets, lists.weights)
    return pa.table(columns)
