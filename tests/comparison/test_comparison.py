"""The scoreboard, and its pipeline."""

import io
import warnings

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from aitm_kedro.errors import InputError
from aitm_kedro.evaluation.comparison import gather, tabulate, tidy_metrics, verdicts
from aitm_kedro.parameters import Evaluation, Funnel
from aitm_kedro.pipelines.comparison import create_pipeline

STEPS = ("click", "buy")


def metrics(model, buy, *, seed=0, click=0.71, log_loss=0.02):
    def of(value):
        return {
            "positives": 30,
            "auc": value,
            "auc_low": None if value is None else value - 0.02,
            "auc_high": None if value is None else value + 0.02,
            "average_precision": value,
            "log_loss": log_loss,
            "calibration_error": 0.001,
            "mean_predicted": 0.1,
            "rate": 0.1,
            "note": "No AUC.",
        }

    steps = {"click": of(click), "buy": of(buy)}
    return {"model": model, "seed": seed, "rows": 99, "steps": steps, "order_violations": {"buy>click": 0.25}}


def board(*all_metrics):
    return gather([tidy_metrics(each) for each in all_metrics])


def table_of(comparison):
    return tabulate(comparison, steps=STEPS, main_steps=("buy",), confidence=0.95, tested_on="99 rows")


def row_of(markdown, model):
    return next(line for line in markdown.splitlines() if line.startswith(f"| {model}"))


def test_tidy_table_has_one_number_a_row():
    tidy = tidy_metrics(metrics("aitm", 0.8, seed=3))
    assert list(tidy.columns) == ["model", "seed", "step", "metric", "value"]
    assert len(tidy) == 2 * 9 + 1
    found = tidy.set_index(["step", "metric"])["value"]
    assert found["buy", "auc"] == 0.8
    assert found["buy", "order_violations"] == 0.25
    assert set(tidy["seed"]) == {3}
    assert tidy_metrics(metrics("oracle", 0.9, seed=None))["seed"].isna().all()


def test_table_marks_yardstick_ceiling_and_the_best_of_the_main_step():
    markdown = table_of(board(metrics("oracle", 0.9, seed=None), metrics("logistic", 0.79), metrics("aitm", 0.8)))
    first_column = [line.split("|")[1].strip() for line in markdown.splitlines() if line.startswith("| ")]
    models = ["aitm", "logistic (yardstick)", "oracle (ceiling: the truth)"]
    assert first_column == ["model", "---", *models] * 2
    assert row_of(markdown, "aitm") == "| aitm | 0.7100 [0.6900, 0.7300] | **0.8000** [0.7800, 0.8200] |"
    assert "**" not in row_of(markdown, "logistic") + row_of(markdown, "oracle")
    assert "No model lies below the yardstick (`logistic`) on a main step." in markdown


def test_a_model_below_the_yardstick_is_named_with_its_gap():
    near = verdicts(board(metrics("aitm", 0.785), metrics("logistic", 0.79)), steps=STEPS, main_steps=("buy",))
    assert near == [
        "`aitm` lies below the yardstick (`logistic`) on buy: 0.7850 against 0.7900, within the yardstick's interval."
    ]
    far = verdicts(board(metrics("aitm", 0.7), metrics("logistic", 0.79)), steps=STEPS, main_steps=("buy",))
    assert far[0].endswith("0.7000 against 0.7900, outside the yardstick's interval.")
    assert "**0.7900**" in row_of(table_of(board(metrics("aitm", 0.7), metrics("logistic", 0.79))), "logistic")


def test_less_is_better_for_log_loss():
    markdown = table_of(board(metrics("aitm", 0.8, log_loss=0.03), metrics("logistic", 0.79, log_loss=0.01)))
    probabilities = markdown.split("## Main steps")[1]
    assert "**0.01000**" in row_of(probabilities, "logistic")
    assert "0.03000" in row_of(probabilities, "aitm")


def test_several_seeds_show_mean_and_standard_deviation():
    markdown = table_of(board(metrics("aitm", 0.80), metrics("aitm", 0.82, seed=1), metrics("logistic", 0.79)))
    assert row_of(markdown, "aitm").endswith("| **0.8100** ± 0.0141 |")


def test_undefined_is_a_dash_and_said():
    markdown = table_of(board(metrics("aitm", 0.8, click=None), metrics("logistic", 0.79, click=None)))
    assert row_of(markdown, "aitm").startswith("| aitm | \N{EN DASH} |")
    assert "`click` has no AUC: test has only one class of it." in markdown


def test_works_without_yardstick_and_from_a_csv_file():
    comparison = board(metrics("aitm", None), metrics("oracle", 0.9, seed=None))
    again = pd.read_csv(io.StringIO(comparison.to_csv(index=False)))
    assert table_of(again) == table_of(comparison)
    assert "yardstick" not in table_of(comparison)


def test_nothing_to_compare_and_results_given_twice():
    with pytest.raises(InputError, match="run the modelling pipeline first"):
        gather([])
    with pytest.raises(InputError, match="'aitm' has two sets of metrics for seed 0"):
        board(metrics("aitm", 0.8), metrics("aitm", 0.7))


def test_pipeline_reads_every_namespace_without_a_warning():
    data = {
        "aitm.seed0.metrics": metrics("aitm", 0.8),
        "aitm.seed1.metrics": metrics("aitm", 0.82, seed=1),
        "logistic.seed0.metrics": metrics("logistic", 0.79),
        "logistic.seed1.metrics": metrics("logistic", 0.79, seed=1),
        "oracle.metrics": metrics("oracle", 0.9, seed=None),
        "params:funnel": Funnel(steps=STEPS, main_steps=("buy",)),
        "params:evaluation": Evaluation(),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = create_pipeline(models=("aitm", "logistic"), seeds=(0, 1))
        catalog = DataCatalog({name: MemoryDataset(value) for name, value in data.items()})
        table = SequentialRunner().run(pipeline, catalog)["comparison_table"].load()
    assert "(positives: 30 of click, 30 of buy)" in table
    assert "± 0.0141" in table


def test_a_source_without_truth_has_no_ceiling():
    unknown = {"model": "oracle", "seed": None, "note": "no truth is known for this source", "steps": {}}
    comparison = board(metrics("aitm", 0.8), metrics("logistic", 0.79), unknown)
    assert list(comparison["model"].unique()) == ["aitm", "logistic"]
    assert comparison["value"].dtype == "float64"
    assert "oracle" not in table_of(comparison)
