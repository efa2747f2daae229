"""The reporting nodes on a small untrained model, and the wiring."""

import logging
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from tests.learning.data import make_network, specs_of

from aitm_kedro.config.runs import Runs, resolve_runs
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance, with_provenance
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.explain.parameters import Reporting
from aitm_kedro.explain.representations import ADDED, AIT, ORIGINAL
from aitm_kedro.learning.history import History
from aitm_kedro.learning.learner import ModelSpec
from aitm_kedro.learning.networks.trained import TrainedNetwork
from aitm_kedro.learning.training.batches import as_batch
from aitm_kedro.pipelines.reporting import create_pipeline, nodes

FIELDS = ("b", "a", "c")
ROWS = 900


def trained_network(features, steps, **options):
    """An untrained network, as if it had been trained."""
    torch.manual_seed(0)
    model = make_network("aitm", features, steps, **options).eval()
    spec = ModelSpec(model="aitm", options=options, steps=steps, features=features)
    history = History(seconds=1, rows_per_second=1, parameters=1, train_rows=1, valid_rows=1)
    return TrainedNetwork(spec, history, model)


@pytest.fixture(scope="module", params=[1, 3])
def run(request, as_examples):
    """Funnel, trained network, test examples, predictions, and the ids and labels behind them."""
    steps = ("click", "apply", "pay")[: request.param]
    funnel = Funnel(steps=steps, main_steps=steps[-2:])
    rng = np.random.default_rng(4)
    ids = rng.integers(0, 5, (ROWS, 3), dtype=np.int32)
    labels = np.cumprod(rng.random((ROWS, len(steps))) < 0.4, axis=1)
    columns = {"impression_id": np.arange(ROWS) * 3}
    columns |= {step: labels[:, t].astype(np.int8) for t, step in enumerate(steps)}
    columns |= {field: ids[:, FIELDS.index(field)] for field in sorted(FIELDS)}  # not in the model's order
    tower = {"layers": [8, 4], "dropout": [0.1, 0.1]}
    trained = trained_network(specs_of([5, 5, 5], names=FIELDS), steps, tower=tower)
    examples = as_examples(pa.table(columns))
    raw = trained.predict(examples.of_fields(FIELDS))
    predictions = pd.DataFrame({"impression_id": columns["impression_id"]})
    for t, step in enumerate(steps):
        predictions[step], predictions[f"{step}_raw"] = raw[:, t] / 2, raw[:, t]
    return funnel, trained, examples, predicted_by(trained, examples, predictions), ids, labels


def predicted_by(trained, examples, predictions):
    """Predictions that say to be of these rows, by these weights."""
    data = {"test": examples.fingerprint_of_rows(), "weights": trained.fingerprint()}
    return with_provenance(predictions.copy(), Provenance.now(data=data, parameters={}))


def weighing(examples, weights):
    return replace(examples, row_weights=weights.astype(np.float32))


def test_points_belong_to_rows_of_their_label(run):
    funnel, trained, examples, predictions, _, labels = run
    points = nodes.project_representations(
        trained, examples, predictions, funnel, Reporting(tsne_rows=12), name="aitm.seed0"
    )
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
    nodes.draw_tsne(points, funnel, Reporting(tsne_rows=12), run="aitm")
    again = nodes.project_representations(
        trained, examples, predictions, funnel, Reporting(tsne_rows=12), name="aitm.seed0"
    )
    pd.testing.assert_frame_equal(points, again)


def test_transfer_weights_of_whole_groups_are_those_of_the_model(run):
    funnel, trained, examples, predictions, _, labels = run
    table = nodes.weigh_transfer(
        trained, examples, predictions, funnel, Reporting(transfer_rows=ROWS), name="aitm.seed0"
    )
    assert len(table) == 12 * (len(funnel.steps) - 1)
    seen = trained.inspect(examples).transfer_weight.numpy()
    for t, (earlier, later) in enumerate(pairwise(funnel.steps), start=1):
        for group in ((0, 0), (1, 0), (1, 1)):
            inside = (labels[:, t - 1] == group[0]) & (labels[:, t] == group[1])
            rows = table[(table["earlier"] == earlier) & (table["later_label"] == group[1])]
            rows = rows[rows["earlier_label"] == group[0]]
            assert (rows[["available", "drawn"]] == inside.sum()).all(axis=None)
            assert set(rows["later"]) == {later}
            mean = (rows["weight_mean"] * rows["rows"]).sum() / inside.sum()
            assert mean == pytest.approx(seen[inside, t - 1].mean(), rel=1e-5)
    nodes.draw_transfer_weights(table, funnel, run="aitm")


@pytest.mark.parametrize("run", [3], indirect=True)
def test_rows_are_inspected_with_their_lists(run):
    """Whole groups, drawn in another order, are the test rows: each with its own list."""
    funnel, _, examples, predictions, *_ = run
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], rng.integers(1, 5, ROWS).cumsum()])
    tags = Ragged(offsets, rng.integers(9, size=offsets[-1], dtype=np.int32), rng.random(offsets[-1], np.float32))
    with_tags = replace(examples, fields=(*examples.fields, "tags"), lists={"tags": tags})
    fields = ("b", "c", "tags")
    trained = trained_network(specs_of([5, 5], lists=[9], names=fields), funnel.steps)
    predictions, model = predicted_by(trained, with_tags, predictions), trained.network
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3)
    table = nodes.weigh_transfer(
        trained, with_tags, predictions, funnel, Reporting(transfer_rows=ROWS), name="aitm.seed0"
    )
    seen = model.inspect(as_batch(with_tags.of_fields(fields))).transfer_weight[:, 0].numpy()
    first = table[table["later"] == funnel.steps[1]]
    both = (examples.labels[:, 0] == 1) & (examples.labels[:, 1] == 1)
    rows = first[(first["earlier_label"] == 1) & (first["later_label"] == 1)]
    mean = (rows["weight_mean"] * rows["rows"]).sum() / both.sum()
    assert mean == pytest.approx(seen[both].mean(), rel=1e-5)
    points = nodes.project_representations(
        trained, with_tags, predictions, funnel, Reporting(tsne_rows=12), name="aitm.seed0"
    )
    assert np.isfinite(points[["x", "y"]]).all(axis=None)


def test_reliability_holds_every_row_before_and_after_the_correction(run):
    funnel, _, examples, predictions, _, labels = run
    table = nodes.measure_reliability(examples, predictions, funnel, Evaluation(calibration_bins=5), name="aitm.seed0")
    for step in funnel.main_steps:
        for kind, column in (("raw", f"{step}_raw"), ("corrected", step)):
            bins = table[(table["step"] == step) & (table["kind"] == kind)]
            assert bins["rows"].sum() == ROWS
            assert (bins["predicted"] * bins["rows"]).sum() == pytest.approx(predictions[column].sum(), rel=1e-5)
            happened = labels[:, funnel.steps.index(step)].sum()
            assert (bins["observed"] * bins["rows"]).sum() == pytest.approx(happened)
    nodes.draw_calibration(table, funnel, run="aitm")


def test_predictions_of_another_run_are_refused(run):
    funnel, trained, examples, predictions, *_ = run
    others = predicted_by(trained, examples.take(np.arange(1, ROWS)), predictions)
    with pytest.raises(InputError, match=r"'aitm.seed0' were made from other test rows .* --namespaces=aitm.seed0"):
        nodes.weigh_transfer(trained, examples, others, funnel, Reporting(), name="aitm.seed0")
    unknown = pd.DataFrame(predictions.to_dict("list"))
    with pytest.raises(InputError, match="content not known"):
        nodes.measure_reliability(examples, unknown, funnel, Evaluation(), name="aitm.seed0")


def runs_of(explain: str | None, *names: str) -> Runs:
    table = dict.fromkeys((*names, "aitm", "mmoe", "logistic"))
    table["aitm_no_calibrator"] = {"model": "aitm", "options": {"preset": "paper", "alpha": 0}, "seeds": [3, 4]}
    return resolve_runs({"runs": table, "explain": explain, "seeds": {"full": [2, 0]}})


DATA = {"ingestion_report", "label_report", "sampling_report", "dataset_statistics", "params:funnel"}
JUDGED = {"feature_specs", "params:evaluation", "test_examples@arrays"}


@pytest.mark.parametrize(
    ("explain", "name"), [("aitm", "aitm.seed2"), ("aitm_no_calibrator", "aitm_no_calibrator.seed3")]
)
def test_wiring_warns_of_nothing(explain, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = create_pipeline(runs_of(explain))
    of_run = {f"{name}.history", f"{name}.predictions", f"{name}.weights"}
    assert pipeline.inputs() == DATA | JUDGED | of_run | {"params:reporting"}
    assert pipeline.outputs() == {"calibration", "funnel_figure", "learning_curves", "transfer_weights", "tsne"}
    told = [node.func.keywords for node in pipeline.nodes if hasattr(node.func, "keywords")]
    assert {of_node["run"] for of_node in told if "run" in of_node} == {explain}
    assert {of_node["name"] for of_node in told if "name" in of_node} == {name}


@pytest.mark.parametrize(("explain", "name"), [("mmoe", "mmoe.seed2"), ("logistic", "logistic.seed2")])
def test_of_a_model_that_shows_nothing_inside_training_and_probabilities_are_drawn(explain, name):
    pipeline = create_pipeline(runs_of(explain))
    assert pipeline.outputs() == {"calibration", "funnel_figure", "learning_curves"}
    assert pipeline.inputs() == DATA | JUDGED | {f"{name}.history", f"{name}.predictions"}


def test_a_step_that_never_happens_in_test_is_drawn_as_such(run):
    funnel, trained, examples, predictions, *_ = run
    labels = examples.labels.copy()
    labels[:, -1] = 0
    examples = replace(examples, labels=labels)
    predictions = predicted_by(trained, examples, predictions)
    points = nodes.project_representations(
        trained, examples, predictions, funnel, Reporting(tsne_rows=12), name="aitm.seed0"
    )
    nodes.draw_tsne(points, funnel, Reporting(tsne_rows=12), run="aitm")
    assert funnel.steps[-1] not in set(points["step"])
    transfer = nodes.weigh_transfer(
        trained, examples, predictions, funnel, Reporting(transfer_rows=20), name="aitm.seed0"
    )
    nodes.draw_transfer_weights(transfer, funnel, run="aitm")
    assert (transfer.loc[transfer["later_label"] == 1, "drawn"] == 0).sum() == 4 * (len(funnel.steps) > 1)
    table = nodes.measure_reliability(examples, predictions, funnel, Evaluation(), name="aitm.seed0")
    nodes.draw_calibration(table, funnel, run="aitm")


def test_without_a_run_to_explain_only_the_data_are_drawn():
    assert [node.name for node in create_pipeline(runs_of(None)).nodes] == ["draw_funnel"]


def test_reliability_is_weighted(run):
    funnel, trained, examples, predictions, _, labels = run
    weights = np.random.default_rng(0).exponential(size=ROWS).astype(np.float32)
    weighted = weighing(examples, weights)
    predictions = predicted_by(trained, weighted, predictions)
    table = nodes.measure_reliability(weighted, predictions, funnel, Evaluation(calibration_bins=2), name="aitm.seed0")
    for step in funnel.main_steps:
        bins = table[(table["step"] == step) & (table["kind"] == "corrected")]
        for column, values in (("predicted", predictions[step]), ("observed", labels[:, funnel.steps.index(step)])):
            expected = np.average(values, weights=weights)
            assert np.average(bins[column], weights=bins["weight"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("run", [3], indirect=True)
def test_rows_of_weight_0_are_not_drawn(run):
    funnel, trained, examples, predictions, _, labels = run
    absent = np.arange(ROWS) < 300
    weighted = weighing(examples, np.where(absent, 0, 2))
    predictions = predicted_by(trained, weighted, predictions)
    everything = Reporting(tsne_rows=ROWS, transfer_rows=ROWS)
    points = nodes.project_representations(trained, weighted, predictions, funnel, everything, name="aitm.seed0")
    for step in funnel.main_steps:
        of_step = points[(points["step"] == step) & (points["component"] == AIT)]
        assert len(of_step) == 2 * labels[~absent, funnel.steps.index(step)].sum()
    transfer = nodes.weigh_transfer(trained, weighted, predictions, funnel, everything, name="aitm.seed0")
    groups = transfer.drop_duplicates(["later", "earlier_label", "later_label"])
    assert groups.groupby("later")["available"].sum().to_dict() == dict.fromkeys(funnel.steps[1:], 600)
    table = nodes.measure_reliability(weighted, predictions, funnel, Evaluation(), name="aitm.seed0")
    assert set(table.groupby(["step", "kind"])["rows"].sum()) == {600}


@pytest.mark.parametrize("run", [3], indirect=True)
def test_weights_of_an_untrained_network_are_said_to_be_flat(run, caplog):
    funnel, trained, examples, predictions, *_ = run
    table = nodes.weigh_transfer(trained, examples, predictions, funnel, Reporting(), name="aitm.seed0")
    nodes.draw_transfer_weights(table, funnel, run="narrow")
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == [
        "AIT in 'narrow' has not learnt to choose between the step before and its own tower (click to apply, apply to "
        "pay): its weights are all within 0.05 of 0.5; it may need more rows, more epochs (training.max_epochs) or a "
        "higher training.learning_rate."
    ]
    table["weight_mean"] = 0.6
    caplog.clear()
    nodes.draw_transfer_weights(table, funnel, run="narrow")
    assert not caplog.records
