import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.learning.data import STEPS, make_network, seeded_ids, specs_of

from aitm_kedro.learning.layers.batch import Batch, LossWeights
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.grouped import Form, GroupedMLP, relu_dropout
from aitm_kedro.learning.layers.transfer import AIT
from aitm_kedro.learning.network_options import AITMOptions
from aitm_kedro.learning.networks.aitm import AITM, calibrator
from aitm_kedro.learning.networks.base import cross_entropy

SIZES = [7, 3, 11]


def _model(tasks: int, **options: object) -> AITM:
    torch.manual_seed(0)
    model = make_network("aitm", specs_of(SIZES), STEPS[:tasks], **options)
    assert isinstance(model, AITM)
    # The released scale of 0.01 makes every attention weight one half; larger numbers tell formulas apart.
    model.embedding.table.weight.data.normal_(std=3)
    if model.ait is not None:
        model.ait.weight.data.normal_()
    return model


def _batch(rows: int) -> Batch:
    return Batch(seeded_ids(SIZES, rows))


def _reference(model: AITM, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Equations 3 to 10, one row, one task, one number at a time."""
    weights = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    table, tasks, width = weights["embedding.table.weight"], len(model.steps), weights["output.weight"].shape[2]
    starts = [0, SIZES[0], SIZES[0] + SIZES[1]]
    found: dict[str, list] = {"q": [], "p": [], "z": [], "w": [], "logits": []}
    for row in ids:
        v = np.concatenate([table[start + value] for start, value in zip(starts, row, strict=True)])
        q, p, z, w = [], [], [], []
        for t in range(tasks):
            x = v
            for layer in range(len(model.towers.mlp.layers)):
                matrix = weights[f"towers.mlp.layers.{layer}.weight"][t]
                x = np.maximum(matrix @ x + weights[f"towers.mlp.layers.{layer}.bias"][t, :, 0], 0)
            q.append(x)
            if t == 0:
                z.append(x)
                continue
            told = weights[f"transfers.{t - 1}.linear.weight"] @ z[-1] + weights[f"transfers.{t - 1}.linear.bias"]
            p.append(np.maximum(told, 0))
            scores = []
            for u in (p[-1], q[-1]):
                second, third = weights["ait.weight"][1] @ u, weights["ait.weight"][2] @ u
                scores.append(sum(a * b for a, b in zip(second, third, strict=True)) / math.sqrt(width))
            exponents = [math.exp(score) for score in scores]
            share = [exponent / sum(exponents) for exponent in exponents]
            z.append(share[0] * (weights["ait.weight"][0] @ p[-1]) + share[1] * (weights["ait.weight"][0] @ q[-1]))
            w.append(share[0])
        logits = [weights["output.weight"][t, 0] @ z[t] + weights["output.bias"][t, 0, 0] for t in range(tasks)]
        for name, value in zip(found, (q, p, z, w, logits), strict=True):
            found[name].append(value)
    return {name: np.array(value) for name, value in found.items()}


@pytest.mark.parametrize("tasks", [1, 2, 3, 4])
def test_equations(tasks: int) -> None:
    model, batch = _model(tasks).eval(), _batch(9)
    expected = _reference(model, batch.ids.numpy())
    seen = model.inspect(batch)
    assert np.allclose(model(batch).detach(), expected["logits"], atol=1e-5)
    for found, name in ((seen.q, "q"), (seen.z, "z")):
        assert found.shape == (9, tasks, 32)
        assert np.allclose(found, expected[name], atol=1e-5)
    assert seen.p.shape == (9, tasks - 1, 32)
    assert seen.transfer_weight.shape == (9, tasks - 1)
    if tasks > 1:
        assert np.allclose(seen.p, expected["p"], atol=1e-5)
        assert np.allclose(seen.transfer_weight, expected["w"], atol=1e-5)
        assert np.ptp(expected["w"]) > 0.05  # otherwise the test would see nothing


def test_ait_with_bias_uses_it_in_all_three_projections() -> None:
    torch.manual_seed(0)
    ait = AIT(4, bias=True)
    for parameter in ait.parameters():
        parameter.data.normal_()
    p, q = torch.randn(4, 3), torch.randn(4, 3)
    h = [lambda u, i=i: ait.weight[i] @ u + ait.bias[i][:, None] for i in range(3)]
    scores = torch.stack([(h[1](u) * h[2](u)).sum(0) / 2 for u in (p, q)])
    share = torch.softmax(scores, dim=0)
    mixed = ait(p, q)
    torch.testing.assert_close(mixed.z, share[0] * h[0](p) + share[1] * h[0](q))
    torch.testing.assert_close(mixed.transfer_weight, share[0])


def test_loss_is_the_mean_over_rows_of_both_parts() -> None:
    model = _model(3, alpha=0.6, preset="paper")
    logits = torch.tensor([[1.0, -2.0, 0.5], [-0.3, 0.2, -4.0]])
    labels = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    total = 0.0
    for row in range(2):
        y = [1 / (1 + math.exp(-logit)) for logit in logits[row].tolist()]
        for t in range(3):
            total -= math.log(y[t]) if labels[row, t] else math.log(1 - y[t])
        total += 0.6 * sum(max(y[t] - y[t - 1], 0) for t in (1, 2))
    assert model.loss(logits, labels).item() == pytest.approx(total / 2, rel=1e-6)


def test_calibrator_is_averaged_not_summed() -> None:
    y = torch.tensor([[0.2, 0.5, 0.4]])
    assert calibrator(y).item() == pytest.approx(0.3)
    assert calibrator(y.expand(1000, 3)).item() == pytest.approx(0.3)
    assert calibrator(torch.tensor([[0.5]])).item() == 0


def test_loss_with_weights_is_the_weighted_sum_over_all_rows() -> None:
    """Rows count in both parts, tasks in the cross-entropy alone; the divisor stays the number of rows."""
    model = _model(3, alpha=0.6, preset="paper")
    logits = torch.tensor([[1.0, -2.0, 0.5], [-0.3, 0.2, -4.0]])
    labels = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    rows, tasks, total = [0.5, 3.0], [2.0, 1.0, 0.25], 0.0
    for row in range(2):
        y = [1 / (1 + math.exp(-logit)) for logit in logits[row].tolist()]
        for t in range(3):
            total -= rows[row] * tasks[t] * (math.log(y[t]) if labels[row, t] else math.log(1 - y[t]))
        total += rows[row] * 0.6 * sum(max(y[t] - y[t - 1], 0) for t in (1, 2))
    weights = LossWeights(torch.tensor(rows), torch.tensor(tasks))
    assert model.loss(logits, labels, weights).item() == pytest.approx(total / 2, rel=1e-6)


def test_cross_entropy_is_finite_for_extreme_logits() -> None:
    assert cross_entropy(torch.tensor([[200.0, -200.0]]), torch.tensor([[0.0, 1.0]])).item() == pytest.approx(400)


@pytest.mark.parametrize("tasks", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_reach_every_parameter(tasks: int, batch_norm: bool) -> None:
    model = _model(tasks, batch_norm=batch_norm, attention_bias=True).train()
    labels = (torch.rand(64, tasks) < 0.5).float()
    model.loss(model(_batch(64)), labels).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not dead


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("mode", [True, False])
def test_any_batch_works_with_batch_norm(rows: int, mode: bool) -> None:
    model = _model(4, batch_norm=True).train(mode)
    output = model(Batch(torch.zeros(rows, len(SIZES), dtype=torch.int64)))
    assert torch.isfinite(model.loss(output, torch.ones(rows, len(STEPS))))


def test_presets_decide_what_is_left_open() -> None:
    tuned, paper = AITMOptions(output=None), AITMOptions(preset="paper")
    assert (tuned.output, tuned.alpha, paper.output, paper.alpha) == ("product", 0, "independent", 0.6)
    assert AITMOptions(preset="paper", alpha=0.3).changed() == {"preset": "paper", "alpha": 0.3}
    assert AITMOptions(residual=True).changed() == {"residual": True}
    with pytest.raises(ValidationError, match="Input should be 'tuned' or 'paper'"):
        AITMOptions(preset="best")


def test_products_leave_the_calibrator_nothing_to_do() -> None:
    with pytest.raises(ValidationError, match=r"alpha is 0\.6, the weight of the calibrator, which has nothing to do"):
        AITMOptions(alpha=0.6)


def test_batch_norm_needs_layers() -> None:
    with pytest.raises(ValidationError, match="a tower of kind afm has no layers to normalise"):
        AITMOptions(batch_norm=True, tower="afm")


def test_batch_norm_normalises_each_feature_of_each_tower() -> None:
    torch.manual_seed(0)
    towers = GroupedMLP(4, count=2, layers=[6], dropout=[0.0], form=Form(batch_norm=True)).train()
    x = torch.randn(4, 50)
    y = towers.layers[0](x)
    expected = (y - y.mean(2, keepdim=True)) / (y.var(2, keepdim=True, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(towers(x), expected.clamp_min(0), atol=1e-5, rtol=1e-5)


def test_embedding_keeps_fields_apart() -> None:
    embedding = FeatureEmbedding(specs_of([2, 3]), dim=4)
    y = embedding(Batch(torch.tensor([[1, 2]], dtype=torch.int32)))
    torch.testing.assert_close(y[0], torch.cat((embedding.table.weight[1], embedding.table.weight[4])))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_dropout_keeps_the_mean_and_the_rate(rate: float) -> None:
    torch.manual_seed(0)
    y = relu_dropout(torch.ones(1000, 1000), rate=rate, training=True)
    assert (y == 0).float().mean().item() == pytest.approx(rate, abs=1 / 512 + 0.002)
    assert y.mean().item() == pytest.approx(1, abs=0.003)
    bytes_of_a_word = (y.view(-1, 8) == 0).float().mean(0)
    assert (bytes_of_a_word - bytes_of_a_word.mean()).abs().max() < 0.01  # the top byte is as random as the others


def test_dropout_passes_gradients_where_values_passed() -> None:
    torch.manual_seed(0)
    x = torch.randn(300, requires_grad=True)
    y = relu_dropout(x, rate=0.25, training=True)
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.where(y > 0, 256 / 192, 0.0))
    assert torch.equal(relu_dropout(x, rate=0.25, training=False), x.clamp_min(0))


def test_released_initialisation() -> None:
    torch.manual_seed(0)
    model = AITM(features=specs_of([5000]), steps=STEPS, options=AITMOptions())
    for tensor in (model.embedding.table.weight, model.ait.weight):
        assert tensor.std().item() == pytest.approx(0.01, rel=0.05)
    assert model.ait.bias is None
