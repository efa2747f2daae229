"""The seam for ways to embed numeric features by their values: one line in ``NUMERIC_KINDS``, one class."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.learning.data import AGES, FEATURES, NETWORKS, STEPS, fit, make_network, make_table, tower_options
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.layers.embedding import EmbeddingTable, FeatureEmbedding, NumericEmbedding
from aitm_kedro.learning.layers.numeric import PiecewiseLinear
from aitm_kedro.learning.network_options import NUMERIC_KINDS, MLPOptions
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.registry import find, load_trained
from aitm_kedro.learning.training.batches import as_batch
from aitm_kedro.learning.training.optimisers import Optimiser

TRAIN, VALID, TEST = (make_table(rows, seed=seed) for seed, rows in enumerate((600, 300, 200)))
CITY, AGE, TAGS, SHOPS = FEATURES


class Standardised(NumericEmbedding):
    """(value - mean) / std, 0 where null, times a vector that is learnt."""

    def __init__(self, features: Sequence[FeatureSpec], *, dim: int) -> None:
        super().__init__(features, dim=dim)
        known = [(feature.statistics.mean, feature.statistics.std) for feature in features]
        self.register_buffer("known", torch.tensor(known), persistent=False)  # [V, 2]
        self.vectors = nn.Parameter(torch.empty(len(features), dim).normal_(std=0.3))

    def forward(self, values: Tensor) -> Tensor:
        standardised = torch.nan_to_num((values - self.known[:, 0]) / self.known[:, 1])
        return standardised[:, :, None] * self.vectors


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> str:
    """The toy kind, registered."""
    monkeypatch.setitem(NUMERIC_KINDS, "standardised", f"{__name__}:Standardised")
    return "standardised"


MODELS = pytest.mark.parametrize(
    ("name", "tower"),
    [("aitm", "mlp"), ("mmoe", "mlp"), ("ple", "mlp"), ("aitm", "deepfm"), ("mlp", "nfm"), ("esmm", "afm")],
)


def options(name: str, tower: str, kind: str) -> dict[str, object]:
    return tower_options(name, tower, layers=[16, 8], dropout=[0, 0]) | {"numeric": kind}


@pytest.fixture
def seen() -> Iterator[list[bool]]:
    """Whether each batch that a network read had values."""
    found: list[bool] = []
    forward = FeatureEmbedding.forward

    def note(self: FeatureEmbedding, batch: Batch) -> Tensor:
        found.append(batch.values is not None)
        return forward(self, batch)

    with patch.object(FeatureEmbedding, "forward", note):
        yield found


@MODELS
def test_a_new_kind_trains_predicts_and_is_saved(
    name: str, tower: str, kind: str, seen: list[bool], tmp_path: Path
) -> None:
    trained = fit(name, TRAIN, VALID, options=options(name, tower, kind))
    predictions = trained.predict(TEST)
    assert set(seen) == {True}
    assert auc(TEST.labels[:, 0], predictions[:, 0]) > 0.6
    trained.save(tmp_path / "model")
    np.testing.assert_allclose(load_trained(tmp_path / "model").predict(TEST), predictions, rtol=2e-6)


@MODELS
def test_a_value_moves_the_prediction_within_its_bin(name: str, tower: str, kind: str) -> None:
    trained = fit(name, TRAIN, VALID, options=options(name, tower, kind))
    predictions, known = trained.predict(TEST), ~np.isnan(TEST.values[:, 0])
    moved = trained.predict(with_values(TEST, TEST.values + 3))
    assert (np.abs(moved - predictions)[known].max(axis=1) > 1e-6).all()
    np.testing.assert_allclose(moved[~known], predictions[~known], rtol=2e-6)
    other_bins = TEST.ids.copy()
    other_bins[:, 1] = 0
    np.testing.assert_allclose(trained.predict(with_values(TEST, TEST.values, other_bins)), predictions, rtol=2e-6)


def with_values(examples: Examples, values: np.ndarray, ids: np.ndarray | None = None) -> Examples:
    return Examples(**vars(examples) | {"values": values, "ids": examples.ids if ids is None else ids})


@MODELS
def test_bins_do_not_read_values(name: str, tower: str, seen: list[bool]) -> None:
    trained = fit(name, TRAIN, VALID, options=options(name, tower, "bins"), max_epochs=1)
    predictions = trained.predict(TEST)
    assert set(seen) == {False}
    np.testing.assert_array_equal(trained.predict(with_values(TEST, TEST.values + 3)), predictions)
    np.testing.assert_array_equal(trained.predict(TEST.without_values()), predictions)


@pytest.mark.parametrize("tower", ["mlp", "nfm", "deepfm", "afm"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_every_parameter(name: str, tower: str, kind: str) -> None:
    torch.manual_seed(0)
    model = make_network(name, FEATURES, STEPS[:3], **options(name, tower, kind)).train()
    assert model.reads_values
    batch = as_batch(TRAIN)
    model.loss(model(batch), torch.from_numpy(TRAIN.labels).float()).backward()
    dead = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not dead
    embeddings = [module for module in model.modules() if isinstance(module, FeatureEmbedding)]
    assert all(isinstance(embedding.numeric, Standardised) for embedding in embeddings)
    assert {embedding.table.weight.shape[0] for embedding in embeddings} == {7 + 6 + 4}  # no rows for the bins


def test_numeric_vectors_stand_between_categories_and_lists(kind: str) -> None:
    height = AGE.model_copy(update={"name": "height", "statistics": AGES.model_copy(update={"mean": 170.0})})
    embedding = FeatureEmbedding([CITY, AGE, height, TAGS], dim=3, numeric=kind)
    batch = as_batch(TRAIN.of_fields(["city", "age", "tags"]))._replace(
        ids=torch.tensor([[2, 1, 1]] * len(TRAIN)), values=torch.tensor([[52.0, np.nan]] * len(TRAIN))
    )
    found = embedding(batch)
    assert found.shape == (len(TRAIN), embedding.width) == (len(TRAIN), 12)
    torch.testing.assert_close(found[:, :3], embedding.table.weight[2].expand(len(TRAIN), 3))
    torch.testing.assert_close(found[:, 3:6], embedding.numeric.vectors[0].expand(len(TRAIN), 3))  # (52 - 40) / 12 = 1
    assert not found[:, 6:9].any()
    without = FeatureEmbedding([CITY, TAGS], dim=3)
    without.load_state_dict({"table.weight": embedding.table.weight})
    torch.testing.assert_close(found[:, 9:], without(batch)[:, 3:])


@pytest.mark.parametrize("updates", ["lazy", "dense"])
@pytest.mark.parametrize("name", NETWORKS)
def test_numbers_alone_are_enough(name: str, updates: str, kind: str) -> None:
    parts = [part.of_fields(["age"]) for part in (TRAIN, VALID)]
    trained = fit(name, *parts, features=[AGE], options={"numeric": kind}, embedding_updates=updates, max_epochs=2)
    assert np.isfinite(trained.predict(parts[1])).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_without_numeric_features_a_kind_changes_nothing(name: str, kind: str) -> None:
    parts = [part.of_fields(["city", "tags"]) for part in (TRAIN, VALID)]
    found = [
        fit(name, *parts, features=[CITY, TAGS], options={"numeric": which}, max_epochs=1).predict(parts[1])
        for which in (kind, "bins")
    ]
    np.testing.assert_allclose(*found, rtol=2e-6)


def test_every_parameter_is_optimised_once(kind: str) -> None:
    for updates in ("lazy", "dense"):
        model = make_network("aitm", FEATURES, STEPS, numeric=kind, tower="deepfm")
        optimiser = Optimiser(model, options=Training(embedding_updates=updates))
        dense = [id(p) for group in optimiser.dense.param_groups for p in group["params"]]
        lazy = [id(readings.table.weight) for readings, _ in optimiser.lazy.tables]
        assert sorted(dense + lazy) == sorted(id(p) for p in model.parameters())
        tables = sum(isinstance(module, EmbeddingTable) for module in model.modules())
        assert len(lazy) == (tables if updates == "lazy" else 0)


@pytest.mark.parametrize("name", ["aitm", "mlp"])
def test_values_that_are_missing_end_in_a_sentence(name: str, kind: str) -> None:
    sentence = rf"'{name}' reads the values of \['age'\] instead of their bins, but the examples have those of \[\]"
    with pytest.raises(InputError, match=sentence):
        fit(name, TRAIN.without_values(), VALID, options={"numeric": kind})
    with pytest.raises(InputError, match=sentence):
        fit(name, TRAIN, VALID.without_values(), options={"numeric": kind})
    trained = fit(name, TRAIN, VALID, options={"numeric": kind}, max_epochs=1)
    with pytest.raises(InputError, match=sentence):
        trained.predict(TEST.without_values())


@pytest.mark.parametrize("name", NETWORKS)
def test_an_unknown_kind_ends_in_a_sentence(name: str) -> None:
    with pytest.raises(
        ValidationError, match="numeric is 'splines'; choose among bins, piecewise_linear, standardised"
    ):
        find(name).Options.model_validate({"numeric": "splines"})
    assert MLPOptions().numeric == "piecewise_linear"


def test_piecewise_linear_is_written_out() -> None:
    """Equation 1 of Gorishniy et al. 2022 over the smallest value, the edges of the bins, and the largest value."""
    torch.manual_seed(0)
    embedding = PiecewiseLinear([AGE], dim=3)
    weight, bias = embedding.weight[0].detach().numpy(), embedding.bias[0, 0].detach().numpy()
    knots = [AGES.minimum, *AGE.edges, AGES.maximum]
    values = [5, 17.5, 30, 36, 44, 80, 3, 900]
    for value, vector in zip(
        values, embedding(torch.tensor(values, dtype=torch.float32)[:, None]).detach(), strict=True
    ):
        parts = [min(max((value - a) / (b - a), 0), 1) for a, b in pairwise(knots)]
        assert np.allclose(vector[0], np.array(parts) @ weight + bias, atol=1e-6)
    nothing = embedding(torch.tensor([[float("nan")]])).detach()
    assert torch.equal(nothing[0], embedding.null[0].detach())


@pytest.mark.parametrize("edges", [(), (5.0,), (80.0,), (5.0, 80.0)])
def test_piecewise_linear_takes_any_edges(edges: tuple[float, ...]) -> None:
    """Edges at the ends of the values make no pieces, and a feature may have fewer pieces than another one."""
    few = AGE.model_copy(update={"name": "few", "edges": edges, "ids": len(edges) + 2})
    found = PiecewiseLinear([AGE, few], dim=2)(torch.tensor([[40.0, 40.0], [float("nan"), 5.0]]))
    assert found.shape == (2, 2, 2)
    assert torch.isfinite(found).all()
    found.sum().backward()


def test_piecewise_linear_of_equal_values() -> None:
    flat = AGE.model_copy(update={"edges": (), "statistics": AGES.model_copy(update={"minimum": 7.0, "maximum": 7.0})})
    found = PiecewiseLinear([flat], dim=2)(torch.tensor([[7.0], [8.0], [6.0]]))
    assert torch.isfinite(found).all()
    assert torch.equal(found[1:], found[:1].expand(2, 1, 2))


def test_piecewise_linear_learns_what_values_tell() -> None:
    trained = fit("aitm", TRAIN, VALID, options={"numeric": "piecewise_linear"}, max_epochs=8)
    assert auc(VALID.labels[:, 0], trained.predict(VALID)[:, 0]) > 0.7


def test_features_of_few_pieces_are_averaged_like_all_others() -> None:
    """What pads them takes part in the moving average of the network, and must not turn into NaN there."""
    few = AGE.model_copy(update={"name": "few", "edges": ()})
    embedding = PiecewiseLinear([AGE, few], dim=2)
    average = AveragedModel(embedding, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    values = torch.tensor([[40.0, 40.0], [float("nan"), 5.0]])
    for _ in range(3):
        average.update_parameters(embedding)
    assert torch.allclose(average(values), embedding(values))
