"""The reporting nodes on a small untrained model, and the wiring."""

import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.explain.parameters import Reporting
from aitm_kedro.explain.representations import ADDED, AIT, ORIGINAL
from aitm_kedro.learning.description import Description
from aitm_kedro.learning.layers.tower import Tower
from aitm_kedro.learning.networks import build_model
from aitm_kedro.learning.networks.aitm import AITMOptions
from aitm_kedro.learning.training.batches import as_batch
from aitm_kedro.learning.training.checkpoint import to_weights
from aitm_kedro.learning.weights import Weights
from aitm_kedro.pipelines.reporting import create_pipeline, nodes

FIELDS = ("b", "a", "c")
ROWS = 900


@pytest.fixture(scope="module", params=[1, 3])
def run(request, as_examples):
    """Funnel, weights, test examples, predictions, and the ids and labels behind them."""
    steps = ("click", "apply", "pay")[: request.param]
    funnel = Funnel(steps=steps, main_steps=steps[-2:])
    rng = np.random.default_rng(4)
    ids = rng.integers(0, 5, (ROWS, 3), dtype=np.int32)
    labels = np.cumprod(rng.random((ROWS, len(steps))) < 0.4, axis=1)
    columns = {"impression_id": np.arange(ROWS) * 3}
    columns |= {step: labels[:, t].astype(np.int8) for t, step in enumerate(steps)}
    columns |= {field: ids[:, FIELDS.index(field)] for field in sorted(FIELDS)}  # not in the model's order
    torch.manual_seed(0)
    options = AITMOptions(tower=Tower(layers=(8, 4), dropout=(0.1, 0.1)))
    model = build_model("aitm", vocabulary_sizes=[5, 5, 5], steps=steps, options=options).eval()
    description = Description("aitm", options.model_dump(mode="json"), steps, FIELDS, (5, 5, 5))
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    weights = Weights(tensors=tensors, metadata=description.to_metadata())
    with torch.no_grad():
        raw = torch.sigmoid(model(torch.from_numpy(ids))).numpy()
    predictions = pd.DataFrame({"impression_id": columns["impression_id"]})
    for t, step in enumerate(steps):
        predictions[step], predictions[f"{step}_raw"] = raw[:, t] / 2, raw[:, t]
    return funnel, weights, as_examples(pa.table(columns)), predictions, model, ids, labels


def test_points_belong_to_rows_of_their_label(run):
    funnel, weights, examples, predictions, _, _, labels = run
    points = nodes.project_representations(weights, examples, predictions, funnel, Reporting(tsne_rows=12))
    assert list(points["step"].unique()) == list(funnel.main_steps)
    for step in funnel.main_steps:
        t = funnel.steps.index(step)
        of_step = points[points["step"] == step]
        expected = [AIT] if t == 0 else [ORIGINAL, ADDED, AIT]
        assert list(of_step["component"].unique()) == expected
        assert (of_step.groupby(["component", "label", "quarter"]).size() == 3).all()
        for label in (0, 1):
            scores = set(predictions.loc[labels[:, t] == label, f"{step}_raw"])
            assert set(of_step.loc[of_step["label"] == label, "score"]) <= scores
    nodes.draw_tsne(points, funnel, Reporting(tsne_rows=12))
    again = nodes.project_representations(weights, examples, predictions, funnel, Reporting(tsne_rows=12))
    pd.testing.assert_frame_equal(points, again)


def test_transfer_weights_of_whole_groups_are_those_of_the_model(run):
    funnel, weights, examples, predictions, model, ids, labels = run
    table = nodes.weigh_transfer(weights, examples, predictions, funnel, Reporting(transfer_rows=ROWS))
    assert len(table) == 12 * (len(funnel.steps) - 1)
    seen = model.inspect(torch.from_numpy(ids)).transfer_weight.numpy()
    for t, (earlier, later) in enumerate(pairwise(funnel.steps), start=1):
        for group in ((0, 0), (1, 0), (1, 1)):
            inside = (labels[:, t - 1] == group[0]) & (labels[:, t] == group[1])
            rows = table[(table["earlier"] == earlier) & (table["later_label"] == group[1])]
            rows = rows[rows["earlier_label"] == group[0]]
            assert (rows[["available", "drawn"]] == inside.sum()).all(axis=None)
            assert set(rows["later"]) == {later}
            mean = (rows["weight_mean"] * rows["rows"]).sum() / inside.sum()
            assert mean == pytest.approx(seen[inside, t - 1].mean(), rel=1e-5)
    nodes.draw_transfer_weights(table, funnel)


@pytest.mark.parametrize("run", [3], indirect=True)
def test_rows_are_inspected_with_their_lists(run):
    """Whole groups, drawn in another order, are the test rows: each with its own list."""
    funnel, _, examples, predictions, *_ = run
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], rng.integers(1, 5, ROWS).cumsum()])
    tags = Ragged(offsets, rng.integers(9, size=offsets[-1], dtype=np.int32), rng.random(offsets[-1], np.float32))
    with_tags = replace(examples, fields=(*examples.fields, "tags"), lists={"tags": tags})
    torch.manual_seed(0)
    options, fields, sizes = AITMOptions(), ("b", "c", "tags"), (5, 5, 9)
    model = build_model("aitm", vocabulary_sizes=sizes, steps=funnel.steps, options=options).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3)
    description = Description("aitm", options.model_dump(mode="json"), funnel.steps, fields, sizes)
    weights = to_weights(model, description)
    table = nodes.weigh_transfer(weights, with_tags, predictions, funnel, Reporting(transfer_rows=ROWS))
    seen = model.inspect(as_batch(with_tags.of_fields(fields))).transfer_weight[:, 0].numpy()
    first = table[table["later"] == funnel.steps[1]]
    both = (examples.labels[:, 0] == 1) & (examples.labels[:, 1] == 1)
    rows = first[(first["earlier_label"] == 1) & (first["later_label"] == 1)]
    mean = (rows["weight_mean"] * rows["rows"]).sum() / both.sum()
    assert mean == pytest.approx(seen[both].mean(), rel=1e-5)
    points = nodes.project_representations(weights, with_tags, predictions, funnel, Reporting(tsne_rows=12))
    assert np.isfinite(points[["x", "y"]]).all(axis=None)


def test_reliability_holds_every_row_before_and_after_the_correction(run):
    funnel, _, examples, predictions, _, _, labels = run
    table = nodes.measure_reliability(examples, predictions, funnel, Evaluation(calibration_bins=5))
    for step in funnel.main_steps:
        for kind, column in (("raw", f"{step}_raw"), ("corrected", step)):
            bins = table[(table["step"] == step) & (table["kind"] == kind)]
            assert bins["rows"].sum() == ROWS
            assert (bins["predicted"] * bins["rows"]).sum() == pytest.approx(predictions[column].sum(), rel=1e-5)
            happened = labels[:, funnel.steps.index(step)].sum()
            assert (bins["observed"] * bins["rows"]).sum() == pytest.approx(happened)
    nodes.draw_calibration(table, funnel)


def test_predictions_of_another_run_are_refused(run):
    funnel, weights, examples, predictions, *_ = run
    with pytest.raises(InputError, match="different rows"):
        nodes.weigh_transfer(weights, examples, predictions.iloc[1:], funnel, Reporting())


def test_wiring_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = create_pipeline()
    assert pipeline.inputs() == {
        "aitm.seed0.history",
        "aitm.seed0.predictions",
        "aitm.seed0.weights",
        "dataset_statistics",
        "ingestion_report",
        "label_report",
        "params:evaluation",
        "params:funnel",
        "params:reporting",
        "sampling_report",
        "test_examples@arrays",
    }
    assert pipeline.outputs() == {"calibration", "funnel_figure", "learning_curves", "transfer_weights", "tsne"}


def test_a_step_that_never_happens_in_test_is_drawn_as_such(run):
    funnel, weights, examples, predictions, *_ = run
    labels = examples.labels.copy()
    labels[:, -1] = 0
    examples = replace(examples, labels=labels)
    points = nodes.project_representations(weights, examples, predictions, funnel, Reporting(tsne_rows=12))
    nodes.draw_tsne(points, funnel, Reporting(tsne_rows=12))
    assert funnel.steps[-1] not in set(points["step"])
    transfer = nodes.weigh_transfer(weights, examples, predictions, funnel, Reporting(transfer_rows=20))
    nodes.draw_transfer_weights(transfer, funnel)
    assert (transfer.loc[transfer["later_label"] == 1, "drawn"] == 0).sum() == 4 * (len(funnel.steps) > 1)
    nodes.draw_calibration(nodes.measure_reliability(examples, predictions, funnel, Evaluation()), funnel)


def test_without_aitm_only_the_data_are_drawn():
    assert [node.name for node in create_pipeline(models=("lightgbm", "mmoe")).nodes] == ["draw_funnel"]
