import numpy as np
import pytest
import torch
from torch import nn

from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.layers.embedding import Embedding
from aitm_kedro.learning.networks import build_model
from aitm_kedro.learning.networks.aitm import AITMOptions
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.loop import fit
from aitm_kedro.learning.training.optimisers import LazyAdam, Optimiser

LR, L2 = 0.01, 0.1


def _tables(rows: int) -> tuple[Embedding, Embedding]:
    torch.manual_seed(0)
    lazy, dense = Embedding([rows], dim=3).train(), Embedding([rows], dim=3).train()
    dense.load_state_dict(lazy.state_dict())
    return lazy, dense


def _batches(count: int, rows: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randint(rows, (50, 1), generator=generator), torch.randn(50, 3, generator=generator))
        for _ in range(count)
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
        for row, slope in zip(ids[:, 0].numpy(), direction.double().numpy(), strict=True):
            gradient[row] += slope
        for row in set(ids[:, 0].tolist()):
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
    lazy(torch.tensor([[3], [3], [7]])).sum().backward()
    optimiser.step()
    moved = (lazy.weight != untouched.weight).any(dim=1).nonzero().flatten().tolist()
    assert moved == [3, 7]


def test_a_table_read_twice_in_a_pass_gets_both_gradients() -> None:
    lazy, dense = _tables(4)
    everything = torch.arange(4)[:, None]
    sparse, plain = LazyAdam([lazy], learning_rate=LR, l2=0), torch.optim.Adam(dense.parameters(), lr=LR)
    for optimiser, table in ((sparse, lazy), (plain, dense)):
        (table(everything).sum() - 3 * (table(everything) ** 2).sum()).backward()
        optimiser.step()
    torch.testing.assert_close(lazy.weight, dense.weight)


def test_l2_is_half_the_squared_norm_of_what_the_model_names() -> None:
    torch.manual_seed(0)
    model = build_model("aitm", vocabulary_sizes=[4, 5], steps=["a", "b"], options=AITMOptions())
    optimiser = Optimiser(model, options=Training(l2=0.5, embedding_updates="dense"))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {"embedding.weight", "ait.weight"}


@pytest.mark.parametrize("updates", ["lazy", "dense"])
def test_both_updates_learn(train: Examples, valid: Examples, updates: str) -> None:
    torch.manual_seed(0)
    model = build_model("aitm", vocabulary_sizes=(6, 40, 300), steps=train.steps, options=AITMOptions())
    options = Training(batch_size=250, max_epochs=4, device="cpu", embedding_updates=updates)
    history = fit(model, train, valid, options=options, main_steps=train.steps, seed=0)
    assert history["best_deciding"] > 0.65
    tables = [module for module in model.modules() if isinstance(module, Embedding)]
    assert not any(table.lazy or table.gathered for table in tables)


def test_every_parameter_is_optimised_once() -> None:
    for updates in ("lazy", "dense"):
        model: nn.Module = build_model("aitm", vocabulary_sizes=[4, 5], steps=["a", "b", "c"], options={})
        optimiser = Optimiser(model, options=Training(embedding_updates=updates))
        dense = [id(p) for group in optimiser.dense.param_groups for p in group["params"]]
        lazy = [id(embedding.weight) for embedding, _ in optimiser.lazy.tables]
        assert sorted(dense + lazy) == sorted(id(p) for p in model.parameters())
