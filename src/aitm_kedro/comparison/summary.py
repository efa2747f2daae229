"""All models side by side: their numbers in one table, what each model's come to, and whether differences are luck."""

import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from aitm_kedro.comparison.scores import FACTS
from aitm_kedro.core.errors import InputError
from aitm_kedro.evaluation.significance import PairedTest, compare_over_rows, compare_over_seeds

# A model that ranks by the truth; the one that every model should beat; the one that gains are measured from; the one
# that the project is about, which is tested against all others.
CEILING, YARDSTICK, REFERENCE, SUBJECT = "oracle", "logistic", "lightgbm", "aitm"

COLUMNS = ("model", "seed", "step", "metric", "value")
"""Columns of the tidy table; seed is null for what has none, step for what belongs to none."""

SEGMENT_COLUMNS = ("model", "seed", "segment", "step", "metric", "value")


class Gathered(NamedTuple):
    """Numbers of all models that can be compared.

    Attributes:
        comparison: tidy table, ``COLUMNS``.
        segments: the same within segments, ``SEGMENT_COLUMNS``.
        settings: model -> what it was trained with: "common" to all networks, and "changed" from its defaults.
        notes: sentences on what is missing or was set aside.
    """

    comparison: pd.DataFrame
    segments: pd.DataFrame
    settings: dict[str, dict[str, Any]]
    notes: list[str]


def gather(scores: Mapping[str, pd.DataFrame | None]) -> Gathered:
    """Put the numbers of all models together, in the order in which they come.

    What is not there, comes from other data than the newest result, or was trained otherwise than the newest seed of
    its model, is named and left out; the rest is compared.

    Args:
        scores: run -> its ``scores.SCORES``, or None where there are no results. A run is "model.seedN" or "oracle".

    Raises:
        InputError: nothing is there to compare.
    """
    there = {run: table for run, table in scores.items() if table is not None}
    if not there:
        raise InputError("there are no results to compare; run the modelling pipeline first")
    notes = _describe_missing([run for run in scores if run not in there])
    there, of_other_data = _split_by_data(there)
    there, trained_otherwise = _split_by_settings(there)
    left_out = {
        "come from other data than the newest": of_other_data,
        "were trained with other parameters than the newest of their model": trained_otherwise,
    }
    notes += [
        f"The results of {', '.join(runs)} {how} and were left out; run benchmark again."
        for how, runs in left_out.items()
        if runs
    ]
    table = pd.concat([part for part in there.values() if len(part)] or list(there.values()), ignore_index=True)
    table = table.astype({"seed": "Int64", "value": "float64"})
    whole = table["segment"].isna()
    return Gathered(
        table.loc[whole, list(COLUMNS)].reset_index(drop=True),
        table.loc[~whole, list(SEGMENT_COLUMNS)].reset_index(drop=True),
        {_model(run): json.loads(told) for run, part in there.items() if (told := _origin(part, "settings"))},
        notes,
    )


def summarise(
    comparison: pd.DataFrame, placements: Mapping[str, pd.DataFrame | None], *, steps: Sequence[str]
) -> pd.DataFrame:
    """What the numbers come to, one row a model and step.

    Args:
        comparison: tidy table.
        placements: run -> ``significance.PLACEMENTS`` of its predictions, or None.
        steps: names in funnel order.

    Returns:
        model, step; seeds, auc, auc_std (over seeds; null for one), auc_low and auc_high (DeLong, of the first seed);
        gain over the reference; best (of all but the ceiling) and best_baseline (the subject aside, too); the subject's
        lead over this model with its standard error and p over rows, its lead over the seeds of both and p over seeds,
        and a note where a test is undefined; then ``scores.FACTS``, means over seeds.
    """
    models = order_models(comparison)
    auc = {model: {step: aucs_by_seed(comparison, model, step) for step in steps} for model in models}
    facts = {model: _facts(comparison, model) for model in models}
    placed = {model: _mean_placements(comparison, placements, model) for model in models}
    rows = []
    for step in steps:
        mean = {model: _mean(auc[model][step].values()) for model in models}
        contenders = [model for model in models if model != CEILING and mean[model] is not None]
        best = max(contenders, key=lambda model: mean[model] or 0.0, default=None)
        rivals = [model for model in contenders if model != SUBJECT]
        best_baseline = max(rivals, key=lambda model: mean[model] or 0.0, default=None)
        for model in models:
            values = list(auc[model][step].values())
            row: dict[str, Any] = {"model": model, "step": step, "seeds": len(values), "auc": mean[model]}
            row |= {"auc_std": float(np.std(values, ddof=1)) if len(values) > 1 else None}
            row |= {name: _first(comparison, model, step, name) for name in ("auc_low", "auc_high")}
            row |= {"gain": _difference(mean[model], mean.get(REFERENCE)) if model != REFERENCE else None}
            row |= {"best": model == best, "best_baseline": model == best_baseline}
            row |= _lead(auc, placed, _counts(comparison, step), model=model, step=step)
            rows.append(row | facts[model])
    table = pd.DataFrame(rows)
    numbers = [
        name for name in table.columns if name not in ("model", "step", "note", "best", "best_baseline", "seeds")
    ]
    return table.astype(dict.fromkeys(numbers, "float64"))


def order_models(comparison: pd.DataFrame) -> list[str]:
    """Models in their order, then the yardstick, then the ceiling."""
    return sorted(dict.fromkeys(comparison["model"]), key=lambda model: (model == CEILING, model == YARDSTICK))


def aucs_by_seed(comparison: pd.DataFrame, model: str, step: str) -> dict[int | None, float]:
    """{seed: AUC} of one model and step, where defined; the seed of what has none is None."""
    of_model = (comparison["model"] == model) & (comparison["step"] == step) & (comparison["metric"] == "auc")
    found = comparison[of_model].dropna(subset=["value"])
    return {
        None if pd.isna(seed) else int(seed): float(value)
        for seed, value in zip(found["seed"], found["value"], strict=True)
    }


def _describe_missing(runs: Sequence[str]) -> list[str]:
    """One sentence a model; what was never run for a whole set of models is put together by seeds."""
    by_model: dict[str, list[str]] = {}
    for run in runs:
        by_model.setdefault(_model(run), []).append(run.removeprefix(_model(run)).removeprefix(".seed"))
    by_seeds: dict[tuple[str, ...], list[str]] = {}
    for model, seeds in by_model.items():
        by_seeds.setdefault(tuple(seeds), []).append(model)
    return [
        f"No results of {', '.join(models)}{_of_seeds(seeds)}: not in the comparison."
        for seeds, models in by_seeds.items()
    ]


def _of_seeds(seeds: Sequence[str]) -> str:
    named = [seed for seed in seeds if seed]
    return f" with seed{'s' * (len(named) > 1)} {', '.join(named)}" if named else ""


Tables = dict[str, pd.DataFrame]


def _split_by_data(scores: Tables) -> tuple[Tables, list[str]]:
    """Tables that come from the same rows as the newest one, and the names of the others."""
    tested = [run for run, table in scores.items() if _origin(table, "test_rows")]
    trained = [run for run in tested if _origin(scores[run], "data")]
    wanted = {
        name: _origin(scores[_newest(scores, runs)], name)
        for name, runs in (("test_rows", tested), ("data", trained))
        if runs
    }
    same = {
        run: table
        for run, table in scores.items()
        if all(_origin(table, name) in (None, value) for name, value in wanted.items())
    }
    return same, [run for run in scores if run not in same]


def _split_by_settings(scores: Tables) -> tuple[Tables, list[str]]:
    """Tables whose model was trained as its newest seed was, and the names of the others."""
    by_model: dict[str, list[str]] = {}
    for run in scores:
        by_model.setdefault(_model(run), []).append(run)
    wanted = {model: _origin(scores[_newest(scores, runs)], "settings") for model, runs in by_model.items()}
    same = {run: table for run, table in scores.items() if _origin(table, "settings") == wanted[_model(run)]}
    return same, [run for run in scores if run not in same]


def _newest(scores: Tables, runs: Sequence[str]) -> str:
    """The run that was judged last."""
    return max(runs, key=lambda run: _origin(scores[run], "judged") or "")


def _model(run: str) -> str:
    return run.partition(".seed")[0]


def _origin(table: pd.DataFrame, name: str) -> str | None:
    """What all rows of a table of scores say of where they come from."""
    values = table[name].dropna()
    return str(values.iloc[0]) if len(values) else None


def _facts(comparison: pd.DataFrame, model: str) -> dict[str, float | None]:
    of_model = comparison[(comparison["model"] == model) & comparison["step"].isna()]
    means = of_model.groupby("metric")["value"].mean()
    return {name: float(means[name]) if name in means else None for name in FACTS}


def _first(comparison: pd.DataFrame, model: str, step: str, metric: str) -> float | None:
    of_model = (comparison["model"] == model) & (comparison["step"] == step) & (comparison["metric"] == metric)
    values = comparison.loc[of_model, "value"].dropna()
    return float(values.iloc[0]) if len(values) else None


def _counts(comparison: pd.DataFrame, step: str) -> tuple[int, int]:
    """Negatives and positives of a step among the test rows."""
    whole = comparison[comparison["metric"] == "rows"]["value"]
    positives = comparison[(comparison["metric"] == "positives") & (comparison["step"] == step)]["value"]
    rows, happened = (int(column.iloc[0]) if len(column) else 0 for column in (whole, positives))
    return rows - happened, happened


Placed = Mapping[tuple[str, int], tuple[np.ndarray, np.ndarray]]
"""(step, label) -> rows and their placements, means over the seeds of a model."""


def _mean_placements(comparison: pd.DataFrame, placements: Mapping[str, pd.DataFrame | None], model: str) -> Placed:
    seeds = comparison.loc[comparison["model"] == model, "seed"].dropna().astype(int).drop_duplicates()
    found = [table for seed in seeds if (table := placements.get(f"{model}.seed{seed}")) is not None]
    sums: dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]] = {}
    for table in found:
        for step, label in product(table["step"].unique(), (0, 1)):
            part = table[(table["step"] == step) & (table["label"] == label)]
            sums.setdefault((str(step), label), []).append((part["row"].to_numpy(), part["placement"].to_numpy()))
    return {
        key: (parts[0][0], np.stack([placed for _, placed in parts]).mean(axis=0, dtype=np.float64))
        for key, parts in sums.items()
        if len(parts) == len(seeds) and all(np.array_equal(rows, parts[0][0]) for rows, _ in parts)
    }


def _lead(
    auc: Mapping[str, Mapping[str, Mapping[int | None, float]]],
    placed: Mapping[str, Placed],
    counts: tuple[int, int],
    *,
    model: str,
    step: str,
) -> dict[str, Any]:
    """How far the subject leads a model on a step, and what two paired tests say to it."""
    blank: dict[str, Any] = dict.fromkeys(("lead", "lead_error", "p_rows", "lead_seeds", "p_seeds")) | {"note": ""}
    if SUBJECT not in auc or model in (SUBJECT, CEILING):
        return blank
    own, other = auc[SUBJECT][step], auc[model][step]
    if not own or not other:
        return blank | {"note": "no AUC: test has one class only"}
    over_seeds = _test_seeds(own, other, drawn=model != YARDSTICK)
    difference = float(np.mean(list(own.values())) - np.mean(list(other.values())))
    over_rows = _test_rows(placed[SUBJECT], placed[model], step=step, difference=difference, counts=counts)
    notes = [test.note for test in (over_seeds, over_rows) if test.note]
    return {
        "lead": difference,
        "lead_error": over_rows.standard_error,
        "p_rows": over_rows.p,
        "lead_seeds": over_seeds.difference,
        "p_seeds": over_seeds.p,
        "note": "; ".join(notes),
    }


def _test_seeds(own: Mapping[int | None, float], other: Mapping[int | None, float], *, drawn: bool) -> PairedTest:
    """Pair the seeds of two models; what has no random part stands against every seed."""
    if not drawn:
        return compare_over_seeds(list(own.values()), list(other.values()) * len(own))
    common = [seed for seed in own if seed in other]
    return compare_over_seeds([own[seed] for seed in common], [other[seed] for seed in common])


def _test_rows(own: Placed, other: Placed, *, step: str, difference: float, counts: tuple[int, int]) -> PairedTest:
    both = [(own.get((step, label)), other.get((step, label))) for label in (0, 1)]
    if any(first is None or second is None or not np.array_equal(first[0], second[0]) for first, second in both):
        return PairedTest(difference, None, None, "no placements of the same rows: run modelling again")
    first, second = ([pair[k][1] for pair in both if pair[k] is not None] for k in (0, 1))  # type: ignore[index]
    return compare_over_rows(first, second, difference=difference, counts=counts)


def _mean(values: Any) -> float | None:
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else None


def _difference(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
