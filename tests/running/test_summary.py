"""The last lines of a run."""

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from aitm_kedro.datasets import CSV, JSON, Text
from aitm_kedro.running.summary import closing_lines

VERSION = "2024-01-01T00.00.00.000Z"


def summary(**runs):
    """The summary of one step: run -> (AUC, half of its interval, what else is said of it)."""
    rows = [
        {"run": run, "step": "buy", "auc": auc, "auc_low": auc - half, "auc_high": auc + half}
        | {"seeds": 1, "auc_std": None, "unlearnt": 0, "best": False, "tied": False}
        | marks
        for run, (auc, half, marks) in runs.items()
    ]
    return pd.DataFrame(rows)


BEST = {"best": True}


def node(*outputs):
    return Pipeline([Node(lambda _: None, "raw", list(outputs), name="make")])


@pytest.fixture
def lines(tmp_path):
    """What a run with these outputs and warnings says last."""
    folder = tmp_path / "data/08_reporting/test"
    versioned = {"versioned": True}
    catalog = DataCatalog.from_config(
        {
            "comparison_table": versioned | {"type": Text, "filepath": f"{folder}/comparison_table.md"},
            "comparison_summary": versioned
            | {"type": CSV, "filepath": f"{folder}/comparison_summary.csv", "save_args": {"index": False}},
            "figure": versioned | {"type": JSON, "filepath": f"{folder}/comparison.png"},
            "aitm_weights": versioned | {"type": JSON, "filepath": f"{tmp_path}/data/06_models/test/aitm/seed0/w.json"},
            "ple_weights": versioned | {"type": JSON, "filepath": f"{tmp_path}/data/06_models/test/ple/seed0/w.json"},
            "outside": {"type": JSON, "filepath": "/outside/of/the/project/x.json"},
        },
        save_version=VERSION,
    )
    catalog.save("comparison_table", "| run |")
    catalog.save("comparison_summary", summary(ple=(0.7, 0.01, {}), aitm=(0.8, 0.01, BEST)))

    def tell(*outputs, warnings=(), **options):
        said = closing_lines(
            node(*outputs),
            catalog,
            parameters={"funnel": {"steps": ["click", "buy"], "main_steps": ["click", "buy"]}},
            project=Path(tmp_path),
            warnings=warnings,
            log="info.log",
            **options,
        )
        return list(said)

    return tell


def test_a_comparison_ends_with_the_table_the_winner_on_the_last_main_step_and_no_warning(lines):
    assert lines("comparison_table", "comparison_summary", "figure") == [
        f"Results: comparison_table.md and 1 figure in data/08_reporting/test, version {VERSION}",
        "`aitm` is the best run on buy: AUC 0.8000 [0.7900, 0.8100], 0.1000 above `ple`.",
        "Nothing warned. Details: info.log",
    ]


def test_without_a_comparison_the_folders_are_told_and_no_winner(lines):
    assert lines("aitm_weights", "ple_weights", "outside", "in_memory") == [
        "Results: /outside/of/the/project, data/06_models/test",
        "Nothing warned. Details: info.log",
    ]
    assert lines("in_memory")[0] == "Results: none that are kept"


def test_processes_of_the_runner_may_have_warned_of_what_nobody_here_knows(lines):
    told = "What warned in the processes of the runner is not repeated here. Details: info.log"
    assert lines("in_memory", workers=True)[1:] == [told]
    assert lines("in_memory", workers=True, warnings=[["One."]])[1:3] == [told, "1 warning (details: info.log):"]


def test_warnings_are_counted_and_told_by_kind(lines):
    warnings = [["'aitm' did not learn.", "'ple' did not learn."], ["x" * 500], *([f"{n}"] for n in range(5))]
    said = lines("in_memory", warnings=warnings)
    assert said[1:3] == ["8 warnings (details: info.log):", "- 'aitm' did not learn. (1 more like it)"]
    assert said[3] == "- " + "x" * 109 + "…"
    assert said[-1] == "- and 2 of other kinds"
    assert lines("in_memory", warnings=[["One."]])[1:] == ["1 warning (details: info.log):", "- One."]
