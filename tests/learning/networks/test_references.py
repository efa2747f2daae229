"""Every architecture against its equations, written down slowly: one row, one task, one number at a time."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from tests.learning.data import STEPS, make_network, seeded_ids, specs_of

from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.tower import KINDS, build_towers
from aitm_kedro.learning.network_options import Expert, Tower
from aitm_kedro.learning.networks.base import Network

SIZES = [7, 3, 11]
TASKS = pytest.mark.parametrize("tasks", [1, 2, 4])
State = dict[str, np.ndarray]


def make(name: str, tasks: int, **options: object) -> tuple[Network, State]:
    """A network whose numbers are large enough to tell formulas apart."""
    torch.manual_seed(0)
    model = make_network(name, specs_of(SIZES), STEPS[:tasks], **options).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.5)
    return model, {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}


def draw_ids(rows: int = 6) -> torch.Tensor:
    return seeded_ids(SIZES, rows)


def vectors_of(table: np.ndarray, row: np.ndarray) -> list[np.ndarray]:
    """The embedding of each field of one row."""
    starts = [0, SIZES[0], SIZES[0] + SIZES[1]]
    return [table[start + value] for start, value in zip(starts, row, strict=True)]


def layers_of(state: State, prefix: str, which: int, x: np.ndarray) -> np.ndarray:
    """A perceptron: affine map and ReLU, layer after layer."""
    layer = 0
    while f"{prefix}.{layer}.weight" in state:
        matrix, bias = state[f"{prefix}.{layer}.weight"][which], state[f"{prefix}.{layer}.bias"][which, :, 0]
        sums = [sum(a * b for a, b in zip(line, x, strict=True)) for line in matrix]
        x = np.array([max(total + c, 0) for total, c in zip(sums, bias, strict=True)])
        layer += 1
    return x


def head_of(state: State, task: int, x: np.ndarray) -> float:
    return float(state["output.weight"][task, 0] @ x + state["output.bias"][task, 0, 0])


def softmax(scores: list[float]) -> list[float]:
    exponents = [math.exp(score) for score in scores]
    return [exponent / sum(exponents) for exponent in exponents]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def compare(model: Network, ids: torch.Tensor, expected: list[list[float]]) -> None:
    found = model(Batch(ids)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4, rtol=1e-4)
    assert np.ptp(expected, axis=0).min() > 0.01  # rows differ, otherwise the test would see nothing


@TASKS
def test_mlp(tasks: int) -> None:
    model, state = make("mlp", tasks)
    ids, expected = draw_ids(), []
    for row in ids.numpy():
        logits = []
        for t in range(tasks):
            prefix = f"networks.{t}."
            own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            v = np.concatenate(vectors_of(own["embedding.table.weight"], row))
            logits.append(head_of(own, 0, layers_of(own, "tower.mlp.layers", 0, v)))
        expected.append(logits)
    compare(model, ids, expected)


@TASKS
def test_shared_bottom(tasks: int) -> None:
    model, state = make("shared_bottom", tasks)
    ids, expected = draw_ids(), []
    for row in ids.numpy():
        v = np.concatenate(vectors_of(state["embedding.table.weight"], row))
        bottom = layers_of(state, "bottom.mlp.layers", 0, v)
        expected.append([head_of(state, t, bottom) for t in range(tasks)])
    compare(model, ids, expected)


@TASKS
def test_esmm(tasks: int) -> None:
    model, state = make("esmm", tasks)
    ids, logits, products = draw_ids(), [], []
    for row in ids.numpy():
        v = np.concatenate(vectors_of(state["embedding.table.weight"], row))
        logits.append([head_of(state, t, layers_of(state, "towers.mlp.layers", t, v)) for t in range(tasks)])
        conditional = [sigmoid(logit) for logit in logits[-1]]
        products.append([math.prod(conditional[: t + 1]) for t in range(tasks)])
    compare(model, ids, logits)
    np.testing.assert_allclose(model.probabilities(model(Batch(ids))).detach(), products, rtol=1e-3)


def test_loss_of_esmm_is_the_cross_entropy_of_the_products() -> None:
    model, _ = make("esmm", 3)
    logits = torch.tensor([[1.0, -2.0, 0.5], [-0.3, 0.2, -4.0], [2.0, 3.0, 1.0]])
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    total = 0.0
    for row, ys in zip(logits.tolist(), labels.tolist(), strict=True):
        p = 1.0
        for logit, y in zip(row, ys, strict=True):
            p *= sigmoid(logit)
            total -= math.log(p) if y else math.log(1 - p)
    assert model.loss(logits, labels).item() == pytest.approx(total / 3, rel=1e-6)


@TASKS
@pytest.mark.parametrize("name", ["omoe", "mmoe"])
def test_mixtures_of_experts(name: str, tasks: int) -> None:
    model, state = make(name, tasks)
    experts, ids, expected = 2 * tasks, draw_ids(), []
    assert state["experts.mlp.layers.0.weight"].shape == (experts, 64, 15)
    assert len(state["gates.linear.weight"]) == (1 if name == "omoe" else tasks)
    for row in ids.numpy():
        v = np.concatenate(vectors_of(state["embedding.table.weight"], row))
        seen = [layers_of(state, "experts.mlp.layers", e, v) for e in range(experts)]
        logits = []
        for t in range(tasks):
            gate = state["gates.linear.weight"][0 if name == "omoe" else t]
            shares = softmax([float(line @ v) for line in gate])
            mixed = np.sum([share * expert for share, expert in zip(shares, seen, strict=True)], axis=0)
            logits.append(head_of(state, t, mixed))
        expected.append(logits)
    compare(model, ids, expected)


@TASKS
@pytest.mark.parametrize("own", [1, 2])
def test_ple(tasks: int, own: int) -> None:
    model, state = make("ple", tasks, own_experts=own)
    ids, expected = draw_ids(), []
    assert state["shared.mlp.layers.0.weight"].shape == (tasks, 64, 15)
    assert state["gates.linear.weight"].shape == (tasks, tasks + own, 15)
    for row in ids.numpy():
        v = np.concatenate(vectors_of(state["embedding.table.weight"], row))
        shared = [layers_of(state, "shared.mlp.layers", e, v) for e in range(tasks)]
        logits = []
        for t in range(tasks):
            seen = shared + [layers_of(state, "own.mlp.layers", t * own + o, v) for o in range(own)]
            shares = softmax([float(line @ v) for line in state["gates.linear.weight"][t]])
            mixed = np.sum([share * expert for share, expert in zip(shares, seen, strict=True)], axis=0)
            logits.append(head_of(state, t, mixed))
        expected.append(logits)
    compare(model, ids, expected)


def tower_of(kind: str, state: State, which: int, row: np.ndarray, fields: list[np.ndarray]) -> np.ndarray:
    """The vector of one tower for one row."""
    if kind == "mlp":
        return layers_of(state, "mlp.layers", which, np.concatenate(fields))
    products = [a * b for a, b in combinations(fields, 2)]
    first_order = sum(vector[which] for vector in vectors_of(state["scalars.first_order.table.weight"], row))
    direction = state["scalars.direction"][which, :, 0]
    if kind == "nfm":
        return layers_of(state, "mlp.layers", which, sum(products)) + direction * first_order
    if kind == "deepfm":
        pairwise = sum(product.sum() for product in products)
        return layers_of(state, "mlp.layers", which, np.concatenate(fields)) + direction * (first_order + pairwise)
    scores = []
    for product in products:
        hidden = state["attention.weight"][which] @ product + state["attention.bias"][which, :, 0]
        scores.append(float(state["score.weight"][which, 0] @ np.maximum(hidden, 0)))
    pooled = sum(share * product for share, product in zip(softmax(scores), products, strict=True))
    deep = state["projection.weight"][which] @ pooled + state["projection.bias"][which, :, 0]
    return deep + direction * first_order


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3])
def test_towers(kind: str, count: int) -> None:
    torch.manual_seed(0)
    options = Tower(kind=kind, layers=(6, 4), dropout=(0.1, 0.3), attention_factor=3)
    towers = build_towers(FeatureEmbedding(specs_of(SIZES), dim=5), count=count, options=options).eval()
    for parameter in towers.parameters():
        parameter.data.normal_()
    ids, table = draw_ids(), torch.randn(sum(SIZES), 5)
    starts = torch.tensor([0, SIZES[0], SIZES[0] + SIZES[1]])
    found = towers(Batch(ids), table[(ids + starts).long()].flatten(1)).detach()
    assert found.shape == (count, 4, len(ids))
    state = {name: tensor.double().numpy() for name, tensor in towers.state_dict().items()}
    for position, row in enumerate(ids.numpy()):
        fields = vectors_of(table.double().numpy(), row)
        for which in range(count):
            expected = tower_of(kind, state, which, row, fields)
            np.testing.assert_allclose(found[which, :, position], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["nfm", "deepfm", "afm"])
def test_a_tower_is_its_papers_model_under_a_layer_that_weighs_the_direction_by_one(kind: str) -> None:
    """h . tower = h . deep + first-order terms (+ pairwise terms) where h . direction = 1."""
    towers = build_towers(
        FeatureEmbedding(specs_of(SIZES), dim=5), count=1, options=Tower(kind=kind, layers=(4,), dropout=(0.0,))
    ).eval()
    h, direction = torch.randn(4), towers.scalars.direction[0, :, 0].detach()
    towers.scalars.direction.data[0, :, 0] = direction / (h @ direction)
    towers.scalars.first_order.table.weight.data.normal_()
    ids, vectors = draw_ids(), torch.randn(6, 15)
    whole = h @ towers(Batch(ids), vectors)[0]
    terms = towers.scalars.first_order(Batch(ids)).sum(1)
    if kind == "deepfm":
        fields = vectors.view(6, 3, 5)
        terms = terms + sum((fields[:, a] * fields[:, b]).sum(1) for a, b in combinations(range(3), 2))
    towers.scalars.direction.data.zero_()
    torch.testing.assert_close(whole, h @ towers(Batch(ids), vectors)[0] + terms, atol=1e-4, rtol=1e-4)


def test_one_field_has_no_pairs() -> None:
    for kind in KINDS:
        towers = build_towers(FeatureEmbedding(specs_of([4]), dim=5), count=2, options=Tower(kind=kind)).eval()
        assert torch.isfinite(towers(Batch(torch.zeros(3, 1, dtype=torch.int32)), torch.zeros(3, 5))).all()


def test_a_bare_name_is_a_kind() -> None:
    assert Tower.model_validate("nfm") == Tower(kind="nfm")
    assert Expert.model_validate("afm") == Expert(kind="afm", layers=(64, 32, 16))


@TASKS
def test_resflow(tasks: int) -> None:
    """Every layer of a tower, and every logit, adds to those of the step before."""
    model, state = make("resflow", tasks)
    ids = draw_ids()
    expected = []
    for row in ids.numpy():
        before: list[np.ndarray] = []
        logits: list[float] = []
        for task in range(tasks):
            x, made = np.concatenate(vectors_of(state["embedding.table.weight"], row)), []
            for layer in range(3):
                matrix, bias = (state[f"towers.mlp.layers.{layer}.{what}"][task] for what in ("weight", "bias"))
                x = np.maximum(matrix @ x + bias[:, 0], 0) + (before[layer] if task else 0)
                made.append(x)
            before = made
            logits.append(head_of(state, task, x) + (logits[-1] if task else 0))
        expected.append(logits)
    assert np.allclose(model(Batch(ids)).detach(), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("residual", [False, True])
def test_aitm_as_products(residual: bool) -> None:
    """Its heads are probabilities given the step before; what they come to is what ESMM makes of the same logits."""
    independent, _ = make("aitm", 3, preset="paper")
    model, _ = make("aitm", 3, residual=residual)
    batch = Batch(draw_ids())
    logits = independent(batch).detach().double().numpy()
    logits = logits.cumsum(axis=1) if residual else logits
    expected = (1 / (1 + np.exp(-logits))).cumprod(axis=1)
    output = model(batch)
    found = model.probabilities(output).detach().numpy()
    assert np.allclose(found, expected, atol=1e-5)
    assert (np.diff(found, axis=1) <= 0).all()
    labels = torch.tensor([[1.0, 1.0, 0.0]] * 6)
    likely = np.where(labels.numpy() == 1, expected, 1 - expected)
    usual = likely.min(axis=1) > 1e-3  # beyond that float32 and the slow way differ
    assert usual.any()
    losses = -np.log(likely[usual]).sum(axis=1)
    assert model.loss(output[usual], labels[usual]).item() == pytest.approx(losses.mean(), rel=1e-3)
