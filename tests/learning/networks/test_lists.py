"""What every network makes of fields with several values a row: the weighted mean of their embeddings."""

import numpy as np
import pytest
import torch
from tests.learning.data import NETWORKS, make_network, specs_of, tower_options

from aitm_kedro.learning.layers.batch import Batch, Lists
from aitm_kedro.learning.layers.embedding import EmbeddingTable, FeatureEmbedding
from aitm_kedro.learning.layers.tower import KINDS
from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.optimisers import Optimiser
from aitm_kedro.learning.training.row_updates import RowReadings

SINGLE, LISTS = [7, 3], [9, 6]  # ids of each field; the first list has weights, the second none
STEPS = ("click", "apply", "approve")
ROWS = 64
NAMES = pytest.mark.parametrize("name", NETWORKS)
KIND = pytest.mark.parametrize("kind", KINDS)

Values = list[list[list[tuple[int, float]]]]
"""Of each row and list field: ids with their weights."""


def make(name: str, kind: str = "mlp") -> Network:
    """A network without dropout, whose numbers are large enough to see differences."""
    torch.manual_seed(0)
    options = tower_options(name, kind, layers=[16, 8], dropout=[0, 0])
    if name == "aitm":
        options["transfer_dropout"] = 0
    model = make_network(name, specs_of(SINGLE, lists=LISTS), STEPS, **options)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3)
    return model


def draw(rows: int = ROWS, *, seed: int = 1) -> tuple[torch.Tensor, Values]:
    random = np.random.default_rng(seed)
    ids = np.stack([random.integers(size, size=rows) for size in SINGLE], axis=1).astype(np.int32)
    lists = [
        [
            [
                (int(random.integers(size)), 1.0 if field else 0.1 + random.random())
                for _ in range(random.integers(1, 5))
            ]
            for field, size in enumerate(LISTS)
        ]
        for _ in range(rows)
    ]
    return torch.from_numpy(ids), lists


def batch_of(ids: torch.Tensor, lists: Values) -> Batch:
    """Weights as shares, list after list."""
    flat = [
        (one, field, row * len(of_row) + field, weight / sum(weight for _, weight in values))
        for row, of_row in enumerate(lists)
        for field, values in enumerate(of_row)
        for one, weight in values
    ]
    list_ids, fields, places, shares = zip(*flat, strict=True)
    return Batch(ids, lists=Lists(*(torch.tensor(part) for part in (list_ids, fields, places, shares))))


def embed(sizes: list[int], *, lists: list[int] = LISTS, dim: int) -> FeatureEmbedding:
    return FeatureEmbedding(specs_of(sizes, lists=lists), dim=dim)


def tables(model: Network) -> list[EmbeddingTable]:
    return [module for module in model.modules() if isinstance(module, EmbeddingTable)]


def test_a_list_is_the_weighted_mean_of_its_vectors() -> None:
    torch.manual_seed(0)
    embedding, (ids, lists) = embed(SINGLE, dim=4), draw(20)
    found = embedding(batch_of(ids, lists)).detach().numpy()
    table = embedding.table.weight.detach().double().numpy()
    starts = np.cumsum([0, *SINGLE, *LISTS])
    for row, of_row in enumerate(lists):
        vectors = [table[starts[field] + int(one)] for field, one in enumerate(ids[row])]
        for field, values in enumerate(of_row, start=len(SINGLE)):
            mean = sum(weight * table[starts[field] + one] for one, weight in values)
            vectors.append(mean / sum(weight for _, weight in values))
        np.testing.assert_allclose(found[row], np.concatenate(vectors), atol=1e-7)


def gradient(embedding: FeatureEmbedding, readings: RowReadings | None) -> torch.Tensor:
    """Of the table, wherever the last pass left it."""
    if readings is None:
        return embedding.table.weight.grad
    assert embedding.table.weight.grad is None
    (reading,) = readings.readings
    return torch.zeros_like(embedding.table.weight).index_add(0, reading.rows, reading.vectors.grad)


@pytest.mark.parametrize("lazy", [True, False])
def test_a_list_of_one_value_is_a_field_with_one_id(lazy: bool) -> None:
    torch.manual_seed(0)
    one, other = embed([4, 9, 6], lists=[], dim=5), embed([4], lists=[9, 6], dim=5)
    other.load_state_dict(one.state_dict())
    readings = [RowReadings(embedding.table) if lazy else None for embedding in (one, other)]
    random = np.random.default_rng(0)
    ids = np.stack([random.integers(size, size=30) for size in (4, 9, 6)], axis=1)
    lists = [[[(int(first), 0.7)], [(int(second), 1.0)]] for first, second in ids[:, 1:]]
    single, batch = Batch(torch.from_numpy(ids)), batch_of(torch.from_numpy(ids[:, :1]), lists)
    direction = torch.randn(30, 15)
    found, expected = other(batch), one(single)
    assert torch.equal(found, expected)
    for vectors in (found, expected):
        (vectors * direction).sum().backward()
    torch.testing.assert_close(gradient(one, readings[0]), gradient(other, readings[1]))


@pytest.mark.parametrize("lazy", [True, False])
def test_a_value_gets_its_share_of_the_gradient(lazy: bool) -> None:
    embedding, (ids, lists) = embed(SINGLE, dim=1), draw(20)
    readings = RowReadings(embedding.table) if lazy else None
    embedding(batch_of(ids, lists)).sum().backward()
    expected = np.zeros(sum(SINGLE + LISTS))
    for row, of_row in zip(ids.tolist(), lists, strict=True):
        for one, start in zip(row, (0, SINGLE[0]), strict=True):
            expected[start + one] += 1
        for values, start in zip(of_row, (sum(SINGLE), sum(SINGLE) + LISTS[0]), strict=True):
            for one, weight in values:
                expected[start + one] += weight / sum(weight for _, weight in values)
    np.testing.assert_allclose(gradient(embedding, readings)[:, 0], expected, atol=1e-5)


def test_lists_alone_and_no_single_field() -> None:
    embedding, (_, lists) = embed([], dim=4), draw(10)
    assert embedding(batch_of(torch.zeros(10, 0, dtype=torch.int32), lists)).shape == (10, 8)


@KIND
@NAMES
def test_gradients_reach_the_rows_that_lists_read_and_no_others(name: str, kind: str) -> None:
    model, (ids, lists) = make(name, kind).train(), draw()
    # Id 0 of the first list and id 5 of the second are read by nobody.
    lists = [[[(max(one, 1), w) for one, w in first], [(one % 5, w) for one, w in second]] for first, second in lists]
    labels = (torch.rand(ROWS, len(STEPS)) < 0.5).float()
    model.loss(model(batch_of(ids, lists)), labels).backward()
    start, second = sum(SINGLE), sum(SINGLE) + LISTS[0]
    for table in tables(model):
        moved = table.weight.grad.abs().sum(dim=1) > 0
        assert set(moved[start:second].nonzero().flatten().tolist()) == set(range(1, LISTS[0]))
        assert set(moved[second:].nonzero().flatten().tolist()) == set(range(5))


@KIND
@NAMES
def test_the_order_of_values_does_not_matter_and_their_weights_do(name: str, kind: str) -> None:
    model, (ids, lists) = make(name, kind).eval(), draw()
    expected = model(batch_of(ids, lists))
    turned = [[values[::-1] for values in of_row] for of_row in lists]
    torch.testing.assert_close(model(batch_of(ids, turned)), expected, atol=1e-5, rtol=1e-4)
    heavier = [
        [[(one, w * (1 + 9 * (place == 0))) for place, (one, w) in enumerate(first)], second] for first, second in lists
    ]
    changed = (model(batch_of(ids, heavier)) - expected).abs().amax(dim=1) > 1e-5
    mixed = [len({one for one, _ in first}) > 1 for first, _ in lists]
    assert changed.tolist() == mixed
    assert 20 < sum(mixed) < ROWS


@KIND
@NAMES
def test_no_rows_give_no_predictions(name: str, kind: str) -> None:
    model, nothing = make(name, kind).eval(), torch.empty(0, dtype=torch.int64)
    batch = Batch(
        torch.empty(0, len(SINGLE), dtype=torch.int32), lists=Lists(nothing, nothing, nothing, torch.empty(0))
    )
    assert model.probabilities(model(batch)).shape == (0, len(STEPS))
    without = make_network(name, specs_of(SINGLE), STEPS).eval()
    assert without(batch._replace(lists=None)).shape == (0, len(STEPS))


@NAMES
def test_rows_do_not_see_each_others_lists(name: str) -> None:
    model, (ids, lists) = make(name).eval(), draw(10)
    alone = torch.cat([model(batch_of(ids[row : row + 1], [lists[row]])) for row in range(10)])
    torch.testing.assert_close(model(batch_of(ids, lists)), alone, atol=1e-5, rtol=1e-4)


@KIND
@NAMES
def test_lazy_and_dense_updates_agree_where_every_row_is_read(name: str, kind: str) -> None:
    states = []
    for updates in ("lazy", "dense"):
        model = make(name, kind).train()
        optimiser = Optimiser(model, options=Training(embedding_updates=updates, l2=0.1, learning_rate=0.01))
        generator = torch.Generator().manual_seed(3)
        for step in range(4):
            ids, lists = draw(seed=step)
            assert all(len(ids[:, field].unique()) == size for field, size in enumerate(SINGLE))
            read = [{one for of_row in lists for one, _ in of_row[field]} for field in range(len(LISTS))]
            assert [len(of_field) for of_field in read] == LISTS
            optimiser.zero_grad()
            labels = (torch.rand(ROWS, len(STEPS), generator=generator) < 0.5).float()
            model.loss(model(batch_of(ids, lists)), labels).backward()
            optimiser.step()
        optimiser.release()
        states.append(model.state_dict())
    for key, value in states[0].items():
        # Adam moves by about 0.01 a step whatever a gradient's size, and so enlarges the rounding of the tiniest ones.
        torch.testing.assert_close(value, states[1][key], atol=1e-3, rtol=0)
