"""What every registered network keeps, whatever it is made of, for any number of steps and any kind of tower."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.description import describe
from aitm_kedro.learning.layers.tower import KINDS
from aitm_kedro.learning.networks import NETWORKS, Network, build_model
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.checkpoint import restore, to_weights
from aitm_kedro.learning.training.run import train_network

SIZES = [7, 3, 11]
FIELDS = ("age", "gender", "city")
STEPS = ("click", "apply", "approve", "activate")
CPU = {"device": "cpu", "threads": 1}

# Where each network's exchangeable tower is configured.
TOWER = dict.fromkeys(("omoe", "mmoe", "ple"), "expert") | {"shared_bottom": "bottom"}
NAMES = pytest.mark.parametrize("name", NETWORKS)
TASKS = pytest.mark.parametrize("tasks", [1, 2, 3, 4])
KIND = pytest.mark.parametrize("kind", KINDS)


def options_of(name: str, kind: str = "mlp", **tower: object) -> dict[str, object]:
    return {TOWER.get(name, "tower"): {"kind": kind} | tower}


def make(name: str, tasks: int, *, kind: str = "mlp", seed: int = 0, **tower: object) -> Network:
    torch.manual_seed(seed)
    options = options_of(name, kind, **tower)
    return build_model(name, vocabulary_sizes=SIZES, steps=STEPS[:tasks], options=options)


def draw_ids(rows: int, *, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(size, (rows,), generator=generator, dtype=torch.int32) for size in SIZES], dim=1)


def make_examples(labels: np.ndarray, *, seed: int = 1) -> Examples:
    return Examples(
        ids=draw_ids(len(labels), seed=seed).numpy(),
        labels=labels.astype(np.uint8),
        fields=FIELDS,
        steps=STEPS[: labels.shape[1]],
        impression_id=np.arange(len(labels)),
    )


@KIND
@TASKS
@NAMES
def test_gradients_reach_every_parameter(name: str, tasks: int, kind: str) -> None:
    model = make(name, tasks, kind=kind).train()
    labels = (torch.rand(64, tasks) < 0.5).float()
    model.loss(model(draw_ids(64)), labels).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not dead


@KIND
@TASKS
@NAMES
def test_output_and_probabilities_are_legal(name: str, tasks: int, kind: str) -> None:
    model = make(name, tasks, kind=kind).eval()
    output = model(draw_ids(50))
    y = model.probabilities(output)
    assert output.shape == y.shape == (50, tasks)
    assert output.dtype == y.dtype == torch.float32
    assert ((y > 0) & (y < 1)).all()


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("training", [True, False])
@NAMES
def test_one_row_and_unknown_ids_work(name: str, rows: int, training: bool) -> None:
    model = make(name, 4).train(training)
    output = model(torch.zeros(rows, len(SIZES), dtype=torch.int64))
    assert torch.isfinite(model.loss(output, torch.ones(rows, 4)))
    assert torch.isfinite(model.probabilities(output)).all()


@NAMES
def test_rows_do_not_see_each_other(name: str) -> None:
    model, ids = make(name, 3).eval(), draw_ids(20)
    alone = torch.cat([model(row[None]) for row in ids])
    torch.testing.assert_close(model(ids), alone, atol=1e-6, rtol=1e-5)


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


@TASKS
@NAMES
def test_the_same_seed_gives_the_same_numbers(name: str, tasks: int) -> None:
    labels = np.random.default_rng(0).random((300, 1)) < 0.6 ** np.arange(1, tasks + 1)
    train, valid = make_examples(labels), make_examples(labels[::-1], seed=2)
    first, second, other = (_train(name, train, valid, seed=seed) for seed in (0, 0, 1))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert any(not np.array_equal(first[key], other[key]) for key in first)


def _train(name: str, train: Examples, valid: Examples, *, seed: int) -> dict[str, np.ndarray]:
    weights, _ = train_network(
        name,
        train,
        valid,
        vocabulary_sizes=SIZES,
        main_steps=train.steps[-1:],
        options=NETWORKS[name].Options(),
        training=Training(batch_size=100, max_epochs=2, **CPU),
        seed=seed,
    )
    return dict(weights.tensors)


@KIND
@NAMES
def test_saved_and_loaded_it_predicts_the_same_to_the_bit(name: str, kind: str) -> None:
    options = NETWORKS[name].Options.model_validate(options_of(name, kind))
    model = make(name, 3, kind=kind).eval()
    description = describe(name, options=options, steps=STEPS[:3], fields=FIELDS, vocabulary_sizes=SIZES)
    again = restore(to_weights(model, description))
    ids = draw_ids(40)
    assert torch.equal(model.probabilities(model(ids)), again.probabilities(again(ids)))


@KIND
@NAMES
def test_a_tiny_batch_is_learnt_by_heart(name: str, kind: str) -> None:
    """Every label of two hundred distinct rows, steps in order, as far as ids tell rows apart."""
    rows = np.stack(np.unravel_index(np.arange(0, np.prod(SIZES), 6), SIZES), axis=1).astype(np.int32)
    depth = np.random.default_rng(0).integers(0, 4, len(rows))
    labels = (depth[:, None] > np.arange(3)).astype(np.uint8)
    model = make(name, 3, kind=kind, dropout=[0, 0, 0]).train()
    ids, y = torch.from_numpy(rows), torch.from_numpy(labels).float()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    start = model.loss(model(ids), y).item()
    for _ in range(300):
        optimiser.zero_grad()
        loss = model.loss(model(ids), y)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.35 * start


@NAMES
def test_predictions_are_end_to_end(name: str) -> None:
    """Half of all rows pass each step: a model of conditional probabilities would say one half for every step."""
    depth = np.random.default_rng(0).geometric(0.5, 4000) - 1
    labels = torch.from_numpy(depth[:, None] > np.arange(3)).float()
    model, ids = make(name, 3, dropout=[0, 0, 0]).train(), draw_ids(4000)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        optimiser.zero_grad()
        model.loss(model(ids), labels).backward()
        optimiser.step()
    predicted = model.probabilities(model.eval()(ids)).detach().mean(dim=0)
    np.testing.assert_allclose(predicted, [1 / 2, 1 / 4, 1 / 8], atol=0.03)


@NAMES
def test_parts_are_the_network(name: str) -> None:
    model = make(name, 3)
    parts = model.parts()
    assert sum((part.steps for part in parts), ()) == model.steps
    ids = draw_ids(10)
    assert torch.equal(torch.cat([part.eval()(ids) for part in parts], dim=1), model.eval()(ids))


@NAMES
def test_it_names_its_paper_and_refuses_strange_options(name: str) -> None:
    assert NETWORKS[name].paper.startswith("https://doi.org/")
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        build_model(name, vocabulary_sizes=SIZES, steps=STEPS, options={"stranger": 1})
    with pytest.raises(ValidationError, match="Input should be 'mlp', 'nfm', 'deepfm' or 'afm'"):
        build_model(name, vocabulary_sizes=SIZES, steps=STEPS, options=options_of(name, "cnn"))


def test_unknown_network() -> None:
    with pytest.raises(InputError, match="'aitn' is no registered network; choose among"):
        build_model("aitn", vocabulary_sizes=SIZES, steps=STEPS, options={})
