"""Batches of examples with lists: every row has its own, in whatever order rows come."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch

from aitm_kedro.core.examples import Examples
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.layers.embedding import WithLists
from aitm_kedro.learning.networks import NETWORKS, build_model
from aitm_kedro.learning.networks.aitm import AITMOptions
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.batches import as_batch, ordered_ids, shuffled_batches
from aitm_kedro.learning.training.predict import predict
from aitm_kedro.learning.training.run import predict_with_network, train_network

SIZES = (500, 12, 8)  # of "row", "tags" (weighted) and "shops"
CPU = torch.device("cpu")
TRAINING = Training(batch_size=50, max_epochs=3, device="cpu", threads=1)


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
        lists=lists,
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


def shares_in(batch: WithLists, field: int, *, fields: int) -> list[dict[int, float]]:
    """The same, from a batch."""
    result: list[dict[int, float]] = [{} for _ in batch.ids]
    for one, of, place, weight in zip(*(part.tolist() for part in batch[1:]), strict=True):
        assert place % fields == of
        if of == field:
            result[place // fields][one] = result[place // fields].get(one, 0) + weight
    return result


def check(batch: WithLists, examples: Examples) -> None:
    """Each row of a batch has the lists of its example, which its one id names."""
    assert [part.dtype for part in batch[1:]] == [torch.int64, torch.int64, torch.int64, torch.float32]
    for field, lists in enumerate(examples.lists.values()):
        expected = as_shares(lists)
        found = shares_in(batch, field, fields=len(examples.lists))
        assert found == [pytest.approx(expected[row]) for row in batch.ids[:, 0].tolist()]
        assert [sum(row.values()) for row in found] == pytest.approx([1] * len(found))


def test_shuffled_rows_keep_their_lists() -> None:
    examples, generator = make_examples(), torch.Generator().manual_seed(0)
    batches = list(shuffled_batches(examples, batch_size=7, generator=generator, device=CPU))  # several chunks
    rows = torch.cat([batch.ids.ids[:, 0] for batch in batches]).numpy()
    assert np.array_equal(np.sort(rows), np.arange(500))
    assert not np.array_equal(rows, np.arange(500))
    for batch in batches:
        check(batch.ids, examples)
        np.testing.assert_array_equal(batch.labels, examples.labels[batch.ids.ids[:, 0]])


@pytest.mark.parametrize("batch_size", [1, 64, 1000])
def test_rows_in_order_keep_their_lists(batch_size: int) -> None:
    examples = make_examples(130)
    batches = list(ordered_ids(examples, batch_size=batch_size, device=CPU))
    assert torch.cat([batch.ids[:, 0] for batch in batches]).tolist() == list(range(130))
    for batch in batches:
        check(batch, examples)
    check(as_batch(examples), examples)


def test_predictions_do_not_depend_on_the_batches() -> None:
    examples = make_examples()
    torch.manual_seed(0)
    model = build_model("aitm", vocabulary_sizes=SIZES, steps=examples.steps, options=AITMOptions())
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
    found = [
        train_network(
            "shared_bottom",
            *(part.of_fields(["tags", "shops"]) for part in parts),
            vocabulary_sizes=SIZES[1:],
            main_steps=["click"],
            options=NETWORKS["shared_bottom"].Options(),
            training=TRAINING.model_copy(update={"embedding_updates": updates, "learning_rate": 0.01}),
            seed=0,
        )[0]
        for parts in ((train, valid), on_disk)
    ]
    predictions = [
        predict_with_network(weights, valid.of_fields(["tags", "shops"]), training=TRAINING) for weights in found
    ]
    assert np.array_equal(*predictions)
    best = auc(valid.labels[:, 0], [row.get(1, 0) for row in as_shares(valid.lists["tags"])])
    assert best - 0.03 < auc(valid.labels[:, 0], predictions[0][:, 0])


def as_table(examples: Examples) -> pa.Table:
    columns = {"impression_id": examples.impression_id, "row": examples.ids[:, 0]}
    columns |= {step: examples.labels[:, t].astype(np.int8) for t, step in enumerate(examples.steps)}
    for name, lists in examples.lists.items():
        offsets = lists.offsets.astype(np.int32)
        columns[name] = pa.ListArray.from_arrays(offsets, lists.values)
        if lists.weights is not None:
            columns[f"_weights_{name}"] = pa.ListArray.from_arrays(offsets, lists.weights)
    return pa.table(columns)
