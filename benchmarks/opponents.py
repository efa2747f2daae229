"""LightGBM and logistic regression over a fixed grid of settings, on validation, to judge their `preset: tuned`.

    python benchmarks/opponents.py                      # the four real logs
    python benchmarks/opponents.py --logs base

A learner stops and chooses on the first part of validation, and is judged on the second (docs/validation.md), by the
mean over steps of the AUC, and of the log loss after the best shift of the log-odds, as a share of that of constants.
Test is not read. The examples are those of `make bench-accuracy`, prepared if they are not there.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accuracy import ROOT, make_project, prepare
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from real_logs import LOGS

from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.recalibration import recalibrated_log_loss
from aitm_kedro.learning.parameters import ValidationOptions
from aitm_kedro.learning.registry import build
from aitm_kedro.learning.validation import cut_validation

GRID: dict[str, list[dict[str, Any]]] = {
    "lightgbm": [
        {"preset": "paper"},
        *(
            {"num_leaves": leaves, "learning_rate": rate, "lambda_l2": l2}
            for leaves, rate, l2 in product((15, 31, 70), (0.05, 0.1), (0.0, 3.0, 10.0))
        ),
    ],
    "logistic": [
        {"preset": "paper"},
        {"preset": "tuned"},
        *({"inverse_l2": [strength]} for strength in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)),
    ],
}


def main() -> None:
    """Fit every setting on every log, and print both measures of all: a table a model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--logs", nargs="+", choices=[*LOGS, "base"], default=list(LOGS))
    parser.add_argument("--models", nargs="+", choices=list(GRID), default=list(GRID))
    parser.add_argument("--folder", type=Path, default=ROOT / ".tmp/accuracy", help="of data and results")
    options = parser.parse_args()
    project = make_project(options.folder)
    for log in options.logs:
        prepare(project, log)
    for model in options.models:
        rows = [row for log in options.logs for row in judge(project, log, model)]
        table = pd.DataFrame(rows).pivot(index="setting", columns="log")
        print(f"\n## {model}\n")
        for measure in ("log loss", "AUC"):
            found = table[measure][options.logs].assign(mean=lambda t: t.mean(axis=1)).sort_values("mean")
            print(f"{measure}\n{found.round(4).to_string()}\n")


def judge(project: Path, log: str, model: str) -> Iterator[dict[str, Any]]:
    """What every setting of a model is worth on the selection part of a log's validation."""
    bootstrap_project(project)
    with KedroSession.create(project_path=project, env=None if log == "base" else log) as session:
        assert isinstance(session, KedroSession)
        catalog = session.load_context().catalog
        train, valid = (catalog.load(f"{split}_examples@arrays") for split in ("train", "valid"))
        specs, funnel, split = (catalog.load(name) for name in ("feature_specs", "params:funnel", "params:split"))
    names = [spec.name for spec in specs.features]
    train, valid = (examples.of_fields(names).of_steps(funnel.steps) for examples in (train, valid))
    stopping, selection = cut_validation(valid, ValidationOptions(), is_chronological=split.by != "column")
    for setting in GRID[model]:
        learner = build(model, options=setting)
        trained = learner.fit(train, stopping, features=specs.features, funnel=funnel, seed=0)
        predictions = trained.predict(selection)
        columns = [(selection.labels[:, t], predictions[:, t]) for t in range(len(funnel.steps))]
        found = {
            "log loss": np.mean([recalibrated_log_loss(*column) for column in columns]),
            "AUC": np.mean([auc(*column) for column in columns]),
        }
        name = ", ".join(f"{key} {value}" for key, value in setting.items())
        print(log, name, {key: round(float(value), 4) for key, value in found.items()}, flush=True)
        yield {"log": log, "setting": name, **found}


if __name__ == "__main__":
    main()
