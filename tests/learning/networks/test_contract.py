"""What every registered network keeps, whatever it is made of, for any number of steps and any kind of tower.

What it keeps as a learner, like every other model, is in ``tests/learning/test_learners.py``.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from tests.learning.data import NETWORKS, STEPS, make_network, seeded_ids, specs_of, tower_options

from aitm_kedro.learning.history import History
from aitm_kedro.learning.layers.batch import Batch, LossWeights
from aitm_kedro.learning.layers.tower import KINDS
from aitm_kedro.learning.learner import ModelSpec
from aitm_kedro.learning.networks.aitm import calibrator
from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.networks.trained import TrainedNetwork
from aitm_kedro.learning.registry import find, load_trained

SIZES = [7, 3, 11]
FEATURES = specs_of(SIZES, names=("age", "gender", "city"))

NAMES = pytest.mark.parametrize("name", NETWORKS)
TASKS = pytest.mark.parametrize("tasks", [1, 2, 3, 4])
KIND = pytest.mark.parametrize("kind", KINDS)


def make(name: str, tasks: int, *, kind: str = "mlp", seed: int = 0, **tower: object) -> Network:
    torch.manual_seed(seed)
    return make_network(name, FEATURES, STEPS[:tasks], **tower_options(name, kind, **tower))


def draw(rows: int, *, seed: int = 1) -> Batch:
    return Batch(seeded_ids(SIZES, rows, seed=seed))


@KIND
@TASKS
@NAMES
def test_gradients_reach_every_parameter(name: str, tasks: int, kind: str) -> None:
    model = make(name, tasks, kind=kind).train()
    labels = (torch.rand(64, tasks) < 0.5).float()
    model.loss(model(draw(64)), labels).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not dead


@KIND
@TASKS
@NAMES
def test_output_and_probabilities_are_legal(name: str, tasks: int, kind: str) -> None:
    model = make(name, tasks, kind=kind).eval()
    output = model(draw(50))
    y = model.probabilities(output)
    assert output.shape == y.shape == (50, tasks)
    assert output.dtype == y.dtype == torch.float32
    assert ((y > 0) & (y < 1)).all()


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("training", [True, False])
@NAMES
def test_one_row_and_unknown_ids_work(name: str, rows: int, training: bool) -> None:
    model = make(name, 4).train(training)
    output = model(Batch(torch.zeros(rows, len(SIZES), dtype=torch.int64)))
    assert torch.isfinite(model.loss(output, torch.ones(rows, 4)))
    assert torch.isfinite(model.probabilities(output)).all()


@NAMES
def test_rows_do_not_see_each_other(name: str) -> None:
    model, batch = make(name, 3).eval(), draw(20)
    alone = torch.cat([model(Batch(row[None])) for row in batch.ids])
    torch.testing.assert_close(model(batch), alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("logit", [-60.0, 0.0, 60.0])
@NAMES
def test_loss_is_finite_for_any_logit_and_label(name: str, logit: float) -> None:
    model = make(name, 3)
    output = torch.full((4, 3), logit, requires_grad=True)
    labels = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    loss = model.loss(output, labels)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(output.grad).all()


def loss_by_hand(model: Network, output: torch.Tensor, labels: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the end-to-end probabilities, each label weighed, over the number of rows."""
    y = model.probabilities(output).double()
    losses = F.binary_cross_entropy(y, labels.double(), reduction="none") * matrix
    return losses.sum() / len(labels)


@pytest.mark.parametrize("which", ["rows", "tasks", "both"])
@NAMES
def test_rows_and_tasks_count_what_their_weights_say(name: str, which: str) -> None:
    model, output = make(name, 3), torch.randn(8, 3)
    labels = (torch.arange(8)[:, None] > torch.tensor([1, 3, 6])).float()
    rows = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 1.0, 3.0, 0.25]) if which != "tasks" else None
    tasks = torch.tensor([2.0, 1.0, 0.3]) if which != "rows" else None
    matrix = (1 if rows is None else rows[:, None].double()) * (torch.ones(3) if tasks is None else tasks).double()
    expected = loss_by_hand(model, output, labels, matrix)
    if name == "aitm":  # the calibrator is of rows, not of tasks
        expected = expected + 0.6 * calibrator(model.probabilities(output), rows)
    assert model.loss(output, labels, LossWeights(rows, tasks)).item() == pytest.approx(expected.item(), rel=1e-4)


@KIND
@NAMES
def test_a_row_of_weight_zero_gives_the_gradients_of_a_row_left_out(name: str, kind: str) -> None:
    model, batch = make(name, 3, kind=kind).eval(), draw(40)
    labels = (torch.rand(40, 3) < 0.5).float()
    kept = torch.arange(40) % 4 != 1
    weights = torch.where(kept, torch.linspace(0.5, 2, 40), 0.0)

    def gradients(loss: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        loss.backward()
        return {key: parameter.grad.clone() for key, parameter in model.named_parameters()}

    whole = gradients(model.loss(model(batch), labels, LossWeights(weights)))
    output = model(Batch(batch.ids[kept]))
    # The loss is over the number of rows, with or without weights.
    part = gradients(model.loss(output, labels[kept], LossWeights(weights[kept])) * (int(kept.sum()) / 40))
    for key, gradient in whole.items():
        torch.testing.assert_close(gradient, part[key], atol=1e-6, rtol=1e-3)


@NAMES
def test_weights_of_one_change_nothing(name: str) -> None:
    model, output = make(name, 3), torch.randn(8, 3)
    labels = (torch.rand(8, 3) < 0.5).float()
    plain = model.loss(output, labels)
    for weights in (LossWeights(torch.ones(8)), LossWeights(tasks=torch.ones(3)), LossWeights()):
        assert torch.equal(model.loss(output, labels, weights), plain)


@KIND
@NAMES
def test_saved_and_loaded_it_is_the_same_to_the_bit(tmp_path: Path, name: str, kind: str) -> None:
    options = find(name).Options.model_validate(tower_options(name, kind)).model_dump(mode="json")
    model = make(name, 3, kind=kind).eval()
    spec = ModelSpec(model=name, options=options, steps=STEPS[:3], features=FEATURES)
    history = History(seconds=1, rows_per_second=1, parameters=1, train_rows=1, valid_rows=1)
    TrainedNetwork(spec, history, model).save(tmp_path / "model")
    again = load_trained(tmp_path / "model")
    assert (again.spec, again.history) == (spec, history)
    assert not again.network.training
    for key, tensor in model.state_dict().items():
        assert torch.equal(again.network.state_dict()[key], tensor)
    batch = draw(40)
    y = again.network.probabilities(again.network(batch))
    torch.testing.assert_close(model.probabilities(model(batch)), y, rtol=2e-6, atol=0)


@KIND
@NAMES
def test_a_tiny_batch_is_learnt_by_heart(name: str, kind: str) -> None:
    """Every label of two hundred distinct rows, steps in order, as far as ids tell rows apart."""
    rows = np.stack(np.unravel_index(np.arange(0, np.prod(SIZES), 6), SIZES), axis=1).astype(np.int32)
    depth = np.random.default_rng(0).integers(0, 4, len(rows))
    labels = (depth[:, None] > np.arange(3)).astype(np.uint8)
    model = make(name, 3, kind=kind, dropout=[0, 0, 0]).train()
    batch, y = Batch(torch.from_numpy(rows)), torch.from_numpy(labels).float()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    start = model.loss(model(batch), y).item()
    for _ in range(300):
        optimiser.zero_grad()
        loss = model.loss(model(batch), y)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.35 * start


@NAMES
def test_predictions_are_end_to_end(name: str) -> None:
    """Half of all rows pass each step: a model of conditional probabilities would say one half for every step."""
    depth = np.random.default_rng(0).geometric(0.5, 2000) - 1
    labels = torch.from_numpy(depth[:, None] > np.arange(3)).float()
    model, batch = make(name, 3, dropout=[0, 0, 0]).train(), draw(2000)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=1.0, end_factor=0.02, total_iters=100)
    for _ in range(100):
        optimiser.zero_grad()
        model.loss(model(batch), labels).backward()
        optimiser.step()
        slower.step()
    predicted = model.probabilities(model.eval()(batch)).detach().mean(dim=0)
    np.testing.assert_allclose(labels.mean(dim=0), [1 / 2, 1 / 4, 1 / 8], atol=0.03)
    np.testing.assert_allclose(predicted, labels.mean(dim=0), atol=0.03)


@NAMES
def test_parts_are_the_network(name: str) -> None:
    model = make(name, 3)
    parts = model.parts()
    assert sum((part.steps for part in parts), ()) == model.steps
    batch = draw(10)
    assert torch.equal(torch.cat([part.eval()(batch) for part in parts], dim=1), model.eval()(batch))


@NAMES
def test_it_names_its_paper_and_refuses_strange_options(name: str) -> None:
    assert find(name).network_class().paper.startswith("https://doi.org/")
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        find(name).Options.model_validate({"stranger": 1})
    with pytest.raises(ValidationError, match="Input should be 'mlp', 'nfm', 'deepfm' or 'afm'"):
        find(name).Options.model_validate(tower_options(name, "cnn"))
