"""What the numbers of the runs come to: means over seeds, gains over the reference, and paired tests."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from aitm_kedro.comparison.gathering import DETERMINISTIC, LEARNT, RANKS, RunKey
from aitm_kedro.evaluation.results import ORACLE, TRAINING_FACTS
from aitm_kedro.evaluation.significance import WEIGHT, PairedTest, compare_over_rows, compare_over_seeds

SIGNIFICANT = 0.05
"""A run is told apart from the best one where every paired test that can be made has a p-value below this."""

_NOT_NUMBERS = ("run", "model", "step", "seeds", "unlearnt", "ranks", "best", "best_baseline", "tied", "note")


def summarise(
    comparison: pd.DataFrame,
    placements: Mapping[RunKey, pd.DataFrame | None],
    *,
    steps: Sequence[str],
    reference: str,
    subject: str | None,
) -> pd.DataFrame:
    """What the numbers come to, one row a run and step.

    Args:
        comparison: tidy table.
        placements: of each run and seed, ``significance.PLACEMENTS`` of its predictions, or None.
        steps: names in funnel order.
        reference: the run over which gains are computed.
        subject: the run whose lead over all others is tested; None: no lead is.

    Returns:
        run, model, step; seeds, unlearnt (seeds that did not learn), ranks (whether all of these rank all the
        same, on validation), auc, auc_std (over seeds; null for one), auc_low and auc_high
        (DeLong, of the first seed); gain over the reference; best and best_baseline (of all runs other than the
        subject; none without a subject), neither of which is the oracle or a run that did not learn; tied (not
        distinguishable from the best, see ``is_tied``) with the p-values behind it, p_rows_best and p_seeds_best; the
        subject's lead over this run with its standard error and p over rows, its lead over the seeds of both and p over
        seeds, and a note where a test is undefined; then ``TRAINING_FACTS``, means over seeds.
    """
    runs = [_Run.of(comparison, placements, name, steps=steps) for name in order_runs(comparison)]
    rows = []
    for step in steps:
        marks, counts = _marks(runs, step, subject=subject), _counts(comparison, step)
        mean = {run.name: run.mean(step) for run in runs}
        tested, best = (next((run for run in runs if run.name == name), None) for name in (subject, marks["best"]))
        for run in runs:
            gain = None if run.name == reference else _difference(mean[run.name], mean.get(reference))
            row: dict[str, Any] = {
                "run": run.name,
                "model": run.model,
                "step": step,
                **run.auc_columns(step),
                "gain": gain,
            }
            row |= {mark: run.name == name for mark, name in marks.items()}
            row |= _against_best(best, run, step, counts=counts)
            rows.append(row | _lead(tested, run, step, counts=counts) | run.facts)
    table = pd.DataFrame(rows)
    return table.astype({name: "float64" for name in table.columns if name not in _NOT_NUMBERS})


def order_runs(table: pd.DataFrame) -> list[str]:
    """Runs in the order in which the table has them, the oracle last."""
    return sorted(dict.fromkeys(table["run"]), key=lambda run: run == ORACLE)


def aucs_by_seed(comparison: pd.DataFrame, run: str, step: str) -> dict[int | None, float]:
    """{seed: AUC} of one run and step, where defined; the seed of what has none is None."""
    found = _values(comparison, run, step, "auc").dropna(subset=["value"])
    return {
        None if pd.isna(seed) else int(seed): float(value)
        for seed, value in zip(found["seed"], found["value"], strict=True)
    }


def spread_of(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval of an AUC: mean ± standard deviation of several seeds, DeLong's interval of one; None: undefined.

    Args:
        row: of the summary.
    """
    if row["seeds"] > 1:
        return row["auc"] - row["auc_std"], row["auc"] + row["auc_std"]
    if pd.isna(row["auc_low"]) or pd.isna(row["auc_high"]):
        return None
    return row["auc_low"], row["auc_high"]


def overlap(first: tuple[float, float] | None, second: tuple[float, float] | None) -> bool:
    """Whether two intervals have values in common; an undefined one may lie anywhere."""
    return first is None or second is None or (first[0] <= second[1] and second[0] <= first[1])


class _Placed(NamedTuple):
    """Placements [P] of rows [P] of one step and class, means over the seeds of a run; weights [P] or None."""

    rows: np.ndarray
    placements: np.ndarray
    weights: np.ndarray | None

    def is_of_same_rows(self, other: "_Placed") -> bool:
        """Whether the placements of both can be paired."""
        if self.weights is None or other.weights is None:
            return self.weights is other.weights and np.array_equal(self.rows, other.rows)
        return np.array_equal(self.rows, other.rows) and np.array_equal(self.weights, other.weights)


class _Run(NamedTuple):
    """What the tables say of one run.

    Attributes:
        name: of the run.
        model: what it trains; None for the oracle.
        is_deterministic: nothing in it is drawn, so that its one seed stands for all.
        auc: step -> seed -> AUC, where defined.
        interval: step -> ends of DeLong's interval of the first seed, None where undefined.
        placed: (step, label) -> placements; none where a seed has none.
        facts: ``TRAINING_FACTS``, means over seeds.
        failed: seeds that did not learn.
        ranking: seeds that order validation rows better than chance.
    """

    name: str
    model: str | None
    is_deterministic: bool
    auc: Mapping[str, Mapping[int | None, float]]
    interval: Mapping[str, tuple[float | None, ...]]
    placed: Mapping[tuple[str, int], _Placed]
    facts: dict[str, float | None]
    failed: frozenset[int]
    ranking: frozenset[int]

    @classmethod
    def of(
        cls,
        comparison: pd.DataFrame,
        placements: Mapping[RunKey, pd.DataFrame | None],
        name: str,
        *,
        steps: Sequence[str],
    ) -> "_Run":
        """Read a run off the tidy table."""
        of_run = comparison[comparison["run"] == name]
        means = of_run[of_run["step"].isna()].groupby("metric")["value"].mean()
        seeds = of_run["seed"].dropna().astype(int).drop_duplicates()
        return cls(
            name=name,
            model=_first(of_run["model"]),
            is_deterministic=bool(means.get(DETERMINISTIC, 0)),
            auc={step: aucs_by_seed(comparison, name, step) for step in steps},
            interval={
                step: tuple(_first(_values(comparison, name, step, end)["value"]) for end in ("auc_low", "auc_high"))
                for step in steps
            },
            placed=_mean_placements([placements.get((name, seed)) for seed in seeds]),
            facts={fact: float(means[fact]) if fact in means else None for fact in TRAINING_FACTS},
            failed=_seeds_with(of_run, LEARNT, 0),
            ranking=_seeds_with(of_run, RANKS, 1),
        )

    def mean(self, step: str) -> float | None:
        """Mean AUC over the seeds; None where undefined."""
        values = list(self.auc[step].values())
        return float(np.mean(values)) if values else None

    @property
    def ranks(self) -> bool:
        """Whether the seeds whose probabilities are no better than constants still rank better than chance."""
        return bool(self.failed) and self.failed <= self.ranking

    def auc_columns(self, step: str) -> dict[str, Any]:
        """AUC of a step with its spread, under the names of the summary."""
        values, (low, high) = list(self.auc[step].values()), self.interval[step]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        counts = {"seeds": len(values), "unlearnt": len(self.failed), "ranks": self.ranks}
        return counts | {"auc": self.mean(step), "auc_std": std, "auc_low": low, "auc_high": high}


def _seeds_with(of_run: pd.DataFrame, metric: str, value: float) -> frozenset[int]:
    chosen = (of_run["metric"] == metric) & (of_run["value"] == value)
    return frozenset(of_run.loc[chosen, "seed"].astype(int))


def _marks(runs: Sequence[_Run], step: str, *, subject: str | None) -> dict[str, str | None]:
    """Names of the best run and of the best baseline, which only a comparison with a subject has.

    A run that did not learn is neither, not even where one of its seeds did.
    """
    candidates = [run for run in runs if run.name != ORACLE and not run.failed]
    mean = {run.name: auc for run in candidates if (auc := run.mean(step)) is not None}
    baselines = [name for name in mean if name != subject] if subject is not None else []
    return {
        "best": max(mean, key=lambda name: mean[name], default=None),
        "best_baseline": max(baselines, key=lambda name: mean[name], default=None),
    }


def _values(comparison: pd.DataFrame, run: str, step: str, metric: str) -> pd.DataFrame:
    of_run = (comparison["run"] == run) & (comparison["step"] == step) & (comparison["metric"] == metric)
    return comparison[of_run]


def _first(values: pd.Series) -> Any:
    """The first value that is not null, or None."""
    known = values.dropna()
    return known.iloc[0] if len(known) else None


def _counts(comparison: pd.DataFrame, step: str) -> tuple[int, int]:
    """Negatives and positives of a step among the test rows."""
    whole = comparison[comparison["metric"] == "rows"]["value"]
    positives = comparison[(comparison["metric"] == "positives") & (comparison["step"] == step)]["value"]
    rows, happened = (int(column.iloc[0]) if len(column) else 0 for column in (whole, positives))
    return rows - happened, happened


def _mean_placements(tables: Sequence[pd.DataFrame | None]) -> dict[tuple[str, int], _Placed]:
    """Means over the tables of all seeds of a run; only of steps and classes that every seed has for the same rows."""
    by_class: dict[tuple[str, int], list[_Placed]] = {}
    for table in tables:
        if table is not None:
            for step, label in product(table["step"].unique(), (0, 1)):
                by_class.setdefault((str(step), label), []).append(_placed(table, step, label))
    return {
        key: parts[0]._replace(placements=np.stack([part.placements for part in parts]).mean(axis=0, dtype=np.float64))
        for key, parts in by_class.items()
        if len(parts) == len(tables) and all(part.is_of_same_rows(parts[0]) for part in parts)
    }


def _placed(table: pd.DataFrame, step: str, label: int) -> _Placed:
    part = table[(table["step"] == step) & (table["label"] == label)]
    weights = part[WEIGHT].to_numpy() if WEIGHT in part else None
    return _Placed(part["row"].to_numpy(), part["placement"].to_numpy(), weights)


def _lead(subject: _Run | None, run: _Run, step: str, *, counts: tuple[int, int]) -> dict[str, Any]:
    """How far the subject leads a run on a step, and what two paired tests say to it."""
    blank: dict[str, Any] = dict.fromkeys(("lead", "lead_error", "p_rows", "lead_seeds", "p_seeds")) | {"note": ""}
    if subject is None or run.name in (subject.name, ORACLE):
        return blank
    difference = _difference(subject.mean(step), run.mean(step))
    if difference is None:
        return blank | {"note": "no AUC: test has one class only"}
    over_seeds = _test_seeds(subject, run, step)
    over_rows = _test_rows(subject, run, step, difference=difference, counts=counts)
    return {
        "lead": difference,
        "lead_error": over_rows.standard_error,
        "p_rows": over_rows.p,
        "lead_seeds": over_seeds.difference,
        "p_seeds": over_seeds.p,
        "note": "; ".join(test.note for test in (over_seeds, over_rows) if test.note),
    }


def _against_best(best: _Run | None, run: _Run, step: str, *, counts: tuple[int, int]) -> dict[str, Any]:
    """Whether a run can be told apart from the best one, and by which p-values."""
    found = _lead(best, run, step, counts=counts)
    tests = [(found["lead"], found["p_rows"]), (found["lead_seeds"], found["p_seeds"])]
    known = [(lead, p) for lead, p in tests if p is not None]
    tied = False
    if best is not None and found["lead"] is not None and not run.failed:
        tied = is_tied(known, spread_of(best.auc_columns(step)), spread_of(run.auc_columns(step)))
    return {"tied": tied, "p_rows_best": found["p_rows"], "p_seeds_best": found["p_seeds"]}


def is_tied(
    tests: Sequence[tuple[float, float]], best: tuple[float, float] | None, other: tuple[float, float] | None
) -> bool:
    """Whether a run cannot be told apart from the best one.

    The runs are judged on the same rows, so paired tests decide; where there are none, intervals that overlap do.

    Args:
        tests: lead of the best run and p-value, of each paired test that could be made (over rows, over seeds).
        best: interval of the best run.
        other: interval of the other one.
    """
    if tests:
        return any(lead <= 0 or p >= SIGNIFICANT for lead, p in tests)
    return overlap(best, other)


def _test_seeds(subject: _Run, run: _Run, step: str) -> PairedTest:
    """Pair the seeds of two runs; the one seed of a deterministic run stands against every seed of the other."""
    own, other = subject.auc[step], run.auc[step]
    if run.is_deterministic:
        other = dict.fromkeys(own, next(iter(other.values())))
    elif subject.is_deterministic:
        own = dict.fromkeys(other, next(iter(own.values())))
    common = [seed for seed in own if seed in other]
    return compare_over_seeds([own[seed] for seed in common], [other[seed] for seed in common])


def _test_rows(subject: _Run, run: _Run, step: str, *, difference: float, counts: tuple[int, int]) -> PairedTest:
    own, other = ([placed for label in (0, 1) if (placed := each.placed.get((step, label)))] for each in (subject, run))
    if len(own) < 2 or len(other) < 2 or not all(map(_Placed.is_of_same_rows, own, other)):
        return PairedTest(difference, None, None, "no placements of the same rows: run modelling again")
    weights = [placed.weights for placed in own if placed.weights is not None]
    return compare_over_rows(
        [placed.placements for placed in own],
        [placed.placements for placed in other],
        difference=difference,
        counts=counts,
        weights=weights or None,
    )


def _difference(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
