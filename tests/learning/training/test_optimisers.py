import numpy as np
import pytest
import torch
from tests.learning.data import make_network, specs_of
from torch import nn

from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.layers.embedding import EmbeddingTable
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.loop import fit
from aitm_kedro.learning.training.optimisers import LazyAdam, Optimiser
from aitm_kedro.learning.training.row_updates import RowReadings

LR, L2 = 0.01, 0.1


def _tables(rows: int) -> tuple[EmbeddingTable, EmbeddingTable]:
    torch.manual_seed(0)
    lazy, dense = EmbeddingTable(rows, 3).train(), EmbeddingTable(rows, 3).train()
    dense.load_state_dict(lazy.state_dict())
    return lazy, dense


def _batches(count: int, rows: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randint(rows, (50,), generator=generator), torch.randn(50, 3, generator=generator)) for _ in range(count)
    ]


def test_lazy_is_dense_where_every_batch_reads_every_row() -> None:
    lazy, dense = _tables(8)
    sparse = LazyAdam([lazy], learning_rate=LR, l2=L2)
    plain = torch.optim.Adam(dense.parameters(), lr=LR, weight_decay=L2)
    for ids, direction in _batches(20, 8):
        assert len(ids.unique()) == 8
        for optimiser, table in ((sparse, lazy), (plain, dense)):
            optimiser.zero_grad()
            (table(ids) * direction).pow(2).sum().backward()
            optimiser.step()
    torch.testing.assert_close(lazy.weight, dense.weight, atol=1e-6, rtol=1e-5)


def test_lazy_against_adam_written_out_for_each_row() -> None:
    lazy, _ = _tables(500)
    optimiser = LazyAdam([lazy], learning_rate=LR, l2=L2)
    w = lazy.weight.detach().double().numpy().copy()
    first, second = np.zeros_like(w), np.zeros_like(w)
    for step, (ids, direction) in enumerate(_batches(15, 500), start=1):
        gradient = np.zeros_like(w)
        for row, slope in zip(ids.numpy(), direction.double().numpy(), strict=True):
            gradient[row] += slope
        for row in set(ids.tolist()):
            g = gradient[row] + L2 * w[row]
            first[row] = 0.9 * first[row] + 0.1 * g
            second[row] = 0.999 * second[row] + 0.001 * g**2
            w[row] -= LR * first[row] / (1 - 0.9**step) / (np.sqrt(second[row] / (1 - 0.999**step)) + 1e-8)
        optimiser.zero_grad()
        (lazy(ids) * direction).sum().backward()
        optimiser.step()
    assert np.allclose(lazy.weight.detach(), w, atol=1e-5)


def test_lazy_leaves_other_rows_alone() -> None:
    lazy, untouched = _tables(10)
    optimiser = LazyAdam([lazy], learning_rate=LR, l2=L2)
    lazy(torch.tensor([3, 3, 7])).sum().backward()
    optimiser.step()
    moved = (lazy.weight != untouched.weight).any(dim=1).nonzero().flatten().tolist()
    assert moved == [3, 7]


def test_a_table_read_twice_in_a_pass_gets_both_gradients() -> None:
    lazy, dense = _tables(4)
    everything = torch.arange(4)
    sparse, plain = LazyAdam([lazy], learning_rate=LR, l2=0), torch.optim.Adam(dense.parameters(), lr=LR)
    for optimiser, table in ((sparse, lazy), (plain, dense)):
        (table(everything).sum() - 3 * (table(everything) ** 2).sum()).backward()
        optimiser.step()
    torch.testing.assert_close(lazy.weight, dense.weight)


def test_readings_are_noted_in_training_alone_and_the_table_is_given_back() -> None:
    table, rows = EmbeddingTable(5, 2), torch.tensor([1, 4, 1])
    readings = RowReadings(table)
    assert not table.weight.requires_grad
    with torch.no_grad():
        table(rows)
    table.eval()(rows)
    assert readings.readings == []
    table.train()(rows).sum().backward()
    table(rows[:1])
    assert [reading.rows.tolist() for reading in readings.readings] == [[1, 4, 1], [1]]
    assert readings.readings[0].vectors.grad.tolist() == [[1, 1]] * 3
    assert table.weight.grad is None
    readings.clear()
    assert readings.readings == []
    readings.detach()
    table(rows).sum().backward()
    assert readings.readings == []
    assert table.weight.grad.tolist() == [[0, 0], [2, 2], [0, 0], [0, 0], [1, 1]]


def test_l2_is_half_the_squared_norm_of_what_the_model_names() -> None:
    torch.manual_seed(0)
    model = make_network("aitm", specs_of([4, 5]), ["a", "b"])
    optimiser = Optimiser(model, options=Training(l2=0.5, embedding_updates="dense"))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {"embedding.table.weight", "ait.weight"}


@pytest.mark.parametrize("updates", ["lazy", "dense"])
def test_both_updates_learn(train: Examples, valid: Examples, updates: str) -> None:
    torch.manual_seed(0)
    model = make_network("aitm", specs_of((6, 40, 300)), train.steps)
    options = Training(batch_size=250, max_epochs=4, device="cpu", embedding_updates=updates)
    history = fit(model, train, valid, options=options, main_steps=train.steps, seed=0)
    assert history.best_deciding > 0.65
    assert all(parameter.requires_grad for parameter in model.parameters())
    tables = [module for module in model.modules() if isinstance(module, EmbeddingTable)]
    assert tables
    assert not any(table._forward_hooks for table in tables)


def test_every_parameter_is_optimised_once() -> None:
    for updates in ("lazy", "dense"):
        model: nn.Module = make_network("aitm", specs_of([4, 5]), ["a", "b", "c"])
        optimiser = Optimiser(model, options=Training(embedding_updates=updates))
        dense = [id(p) for group in optimiser.dense.param_groups for p in group["params"]]
        lazy = [id(readings.table.weight) for readings, _ in optimiser.lazy.tables]
        assert sorted(dense + lazy) == sorted(id(p) for p in model.parameters())
