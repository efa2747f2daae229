"""Which results can be compared, and their numbers in one table."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from pydantic import Field

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Fingerprints
from aitm_kedro.core.namespaces import namespace_of
from aitm_kedro.core.parameters import without_machine
from aitm_kedro.core.provenance import Result, Source, provenance_of_table
from aitm_kedro.evaluation.results import ORACLE, Metrics
from aitm_kedro.learning.history import what_may_help

logger = logging.getLogger(__name__)

RunKey = tuple[str, int | None]
"""Name of a run, and one of its seeds; the oracle has none."""

COLUMNS = ("run", "model", "seed", "step", "metric", "value")
"""Columns of the tidy table; model and seed are null for the oracle, step for what belongs to none."""

SEGMENT_COLUMNS = ("run", "model", "seed", "segment", "step", "metric", "value")

DETERMINISTIC = "deterministic"
"""Metric of a run: 1 where nothing in it is drawn, so that its one seed stands for all; else 0."""

RANKS = "ranks"
"""Metric of a run: 1 where it orders validation rows better than chance; else 0."""

LEARNT = "learnt"
"""Metric of a run: 1 where its log loss on validation is below that of constant probabilities; else 0."""


CHANGES = 3
"""Changed parameters that a sentence names; of the others it says how many there are."""


class Current(NamedTuple):
    """What results would be made from now; None where that is not known.

    Attributes:
        train: examples to learn from.
        valid: examples to choose by.
        test: examples to be judged on.
        steps: of the funnel.
        parameters: run -> every parameter that its trained model depends on, as JSON.
    """

    train: Fingerprints | None = None
    valid: Fingerprints | None = None
    test: Fingerprints | None = None
    steps: tuple[str, ...] | None = None
    parameters: Mapping[str, Mapping[str, Any]] | None = None


class RunSettings(Result):
    """What a run was trained with, as far as a reader of the comparison needs it."""

    training: dict[str, Any] = Field(
        default_factory=dict, description="the loop's parameters and what all networks have; empty: not a network"
    )
    changed: dict[str, Any] = Field(default_factory=dict, description="options other than the model's defaults")


class ComparisonNotes(Result):
    """What is to be known of a comparison beside its numbers."""

    settings: dict[str, RunSettings] = Field(default_factory=dict, description="by run")
    notes: tuple[str, ...] = Field((), description="sentences on what is missing or was left out")
    confidence: float | None = Field(None, description="level of the intervals of the AUCs; None: not known")
    judged: dict[str, dict[Source, str]] = Field(
        default_factory=dict, description="what the metrics compared were made from, by run and seed (aitm.seed0)"
    )


class Gathered(NamedTuple):
    """Numbers of all runs that can be compared.

    Attributes:
        comparison: tidy table, ``COLUMNS``.
        segments: the same within segments, ``SEGMENT_COLUMNS``.
        notes: what is to be known beside.
        usual: those among the sentences that are no reason to worry.
    """

    comparison: pd.DataFrame
    segments: pd.DataFrame
    notes: ComparisonNotes
    usual: tuple[str, ...] = ()


_Results = dict[RunKey, Metrics]


def gather(
    results: Sequence[tuple[RunKey, Metrics | None]],
    *,
    current: Current | None = None,
    reference: str | None = None,
    pipelines: Mapping[RunKey, str] | None = None,
) -> Gathered:
    """Put the numbers of all runs together, in the order in which they come.

    What is not there, comes from other rows than the current ones, has other steps, or was trained otherwise than the
    newest seed of its run, is named and left out; the rest is compared. What was trained with other parameters than the
    current ones is compared, and named.

    Args:
        results: of each run and seed, None where there are none.
        current: what there is now; where the examples are not, the newest result says what is current.
        reference: the run over which gains are computed, without which there is no comparison; None: none needed.
        pipelines: in which each run and seed can be renewed; ``modelling`` if it is not there.

    Raises:
        InputError: nothing is there to compare, the reference is not, or nothing to compare it with.
    """
    there = {key: metrics for key, metrics in results if metrics is not None}
    if not any(metrics.test for metrics in there.values()):
        raise InputError("there are no results to compare; run the modelling pipeline first")
    current = current or Current()
    missing = [key for key, _ in results if key not in there]
    notes = _describe_missing(missing)
    usual = tuple(notes) if _are_seeds_of_all(missing, there) else ()
    there, of_other_data = _split_by_data(there, current)
    there, of_other_steps = _split_by_steps(there, current)
    there, trained_otherwise = _split_by_parameters(there)
    there, judged_otherwise = _split_by_judgement(there)
    there = _once_if_deterministic(there)
    left_out = [
        *_describe_stale(of_other_data, pipelines or {}),
        *_describe_left_out(of_other_steps, "are of other steps than funnel.steps"),
        *_describe_left_out(trained_otherwise, "were trained with other parameters than the newest of their run"),
        *_describe_left_out(judged_otherwise, "were judged with other parameters under 'evaluation' than the newest"),
    ]
    _check_enough([key for key, _ in results], list(there), reference=reference, reasons=left_out or notes)
    notes += [*left_out, *_describe_changed(there, current, pipelines or {}), *_describe_unlearnt(there)]
    settings = {run: told for (run, _), metrics in there.items() if (told := _settings(metrics)) is not None}
    return Gathered(
        comparison=_table(there, _whole, COLUMNS),
        segments=_table(there, _of_segments, SEGMENT_COLUMNS),
        notes=ComparisonNotes(
            settings=settings,
            notes=tuple(notes),
            confidence=_confidence(there),
            judged={namespace_of(*key): metrics.provenance.data for key, metrics in there.items()},
        ),
        usual=usual,
    )


def pair_placements(
    placements: Mapping[RunKey, pd.DataFrame | None], notes: ComparisonNotes
) -> dict[RunKey, pd.DataFrame | None]:
    """Placements of the very predictions that the metrics compared are of; None for all others, which are named.

    Args:
        placements: of each run and seed, None where there are none.
        notes: of the comparison.
    """
    paired: dict[RunKey, pd.DataFrame | None] = {}
    for key, table in placements.items():
        judged = notes.judged.get(namespace_of(*key))
        made = None if table is None else provenance_of_table(table.attrs)
        paired[key] = table if made is not None and made.data == judged else None
    others = [
        key for key, table in paired.items() if table is not placements[key] and namespace_of(*key) in notes.judged
    ]
    if others:
        logger.warning(
            "The placements of %s are of other predictions than its metrics, so its rows are not tested; run: %s",
            ", ".join(namespace_of(*key) for key in others),
            "; ".join(f"kedro run --from-nodes={namespace_of(*key)}.evaluate" for key in others),
        )
    return paired


def _describe_missing(keys: Sequence[RunKey]) -> list[str]:
    """One sentence for each set of seeds, with all runs that lack these very seeds."""
    by_run: dict[str, list[int | None]] = {}
    for run, seed in keys:
        by_run.setdefault(run, []).append(seed)
    by_seeds: dict[tuple[int | None, ...], list[str]] = {}
    for run, seeds in by_run.items():
        by_seeds.setdefault(tuple(seeds), []).append(run)
    return [
        f"No results of {', '.join(runs)}{_with_seeds(seeds)}: not in the comparison."
        for seeds, runs in by_seeds.items()
    ]


def _with_seeds(seeds: Sequence[int | None]) -> str:
    named = [str(seed) for seed in seeds if seed is not None]
    return f" with seed{'s' * (len(named) > 1)} {', '.join(named)}" if named else ""


def _are_seeds_of_all(missing: Sequence[RunKey], there: _Results) -> bool:
    """Whether only seeds are missing that no run has, as after ``full``, which trains fewer than ``benchmark``."""
    trained = {seed for _, seed in there}
    return {run for run, _ in missing} <= {run for run, _ in there} and not {seed for _, seed in missing} & trained


def _describe_changed(results: _Results, current: Current, pipelines: Mapping[RunKey, str]) -> list[str]:
    """One sentence for each set of parameters that have another value now than when some runs were trained."""
    by_change: dict[tuple[str, str], list[str]] = {}
    for key, metrics in results.items():
        wanted = (current.parameters or {}).get(key[0])
        changed = [] if wanted is None or metrics.trained is None else _changes(_parameters(metrics), wanted)
        if changed:
            known = ", ".join(changed[:CHANGES]) + (f" and {len(changed) - CHANGES} more" if changed[CHANGES:] else "")
            by_change.setdefault((known, pipelines.get(key, "modelling")), []).append(namespace_of(*key))
    return [
        f"The results of {', '.join(names)} were trained with other parameters than those of now ({known}) and are "
        f"compared as they are; to train with those of now: kedro run --pipelines={pipeline} "
        f"--namespaces={','.join(names)}"
        for (known, pipeline), names in by_change.items()
    ]


def _changes(used: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Parameters that differ, such as "options.alpha 0.6, now 0.3"."""
    before, now = (
        dict(_leaves({name: without_machine(value) for name, value in each.items() if name != "options_changed"}))
        for each in (used, wanted)
    )
    names = [name for name in (*before, *(set(now) - set(before))) if before.get(name) != now.get(name)]
    return [f"{name} {before.get(name, 'not there')}, now {now.get(name, 'not there')}" for name in names]


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", list(value) if isinstance(value, tuple) else value


def _describe_left_out(keys: Sequence[RunKey], reason: str) -> list[str]:
    if not keys:
        return []
    named = ", ".join(run if seed is None else f"{run} (seed {seed})" for run, seed in keys)
    return [f"The results of {named} {reason} and were left out; run benchmark again."]


def _describe_stale(keys: Sequence[RunKey], pipelines: Mapping[RunKey, str]) -> list[str]:
    """One sentence for each pipeline that renews some of them."""
    by_pipeline: dict[str, list[str]] = {}
    for key in keys:
        by_pipeline.setdefault(pipelines.get(key, "modelling"), []).append(namespace_of(*key))
    return [
        f"The results of {', '.join(names)} come from other rows than the current examples and were left out; renew "
        f"them: kedro run --pipelines={pipeline} --namespaces={','.join(names)}"
        for pipeline, names in by_pipeline.items()
    ]


def _check_enough(
    wanted: Sequence[RunKey], there: Sequence[RunKey], *, reference: str | None, reasons: Sequence[str]
) -> None:
    """Make sure that the reference is there, and something to compare it with where there are several runs."""
    if reference is None:
        return
    runs, left = ({run for run, _ in keys if run != ORACLE} for keys in (wanted, there))
    if reference not in left:
        problem = f"the comparison lacks its reference '{reference}'"
    elif len(left) < min(len(runs), 2):
        problem = f"there is nothing to compare '{reference}' with"
    else:
        return
    raise InputError(" ".join([f"{problem}.", *reasons]))


def _describe_unlearnt(results: _Results) -> list[str]:
    """Sentences on all that did not learn, and on those that rank at least; networks, with more to change, apart."""
    by_kind: dict[tuple[bool, bool], list[str]] = {}
    for key, metrics in results.items():
        if metrics.learnt is False:
            kind = bool(metrics.ranks), "training" in _parameters(metrics)
            by_kind.setdefault(kind, []).append(namespace_of(*key))
    return [
        f"{', '.join(names)} {_verdict(ranks=ranks, several=len(names) > 1)}: the log loss on validation is not below "
        f"that of constant probabilities; try {what_may_help(reads_training=is_network)}."
        for (ranks, is_network), names in by_kind.items()
    ]


def _verdict(*, ranks: bool, several: bool) -> str:
    """What can be said of runs whose log loss is no better than that of constants."""
    return f"{'rank' if several else 'ranks'} but did not learn probabilities" if ranks else "did not learn"


def _split_by_data(results: _Results, current: Current) -> tuple[_Results, list[RunKey]]:
    """Results that come from the current rows, and the others' keys."""
    tested, trained = (_newest(results.values(), read) for read in (_test_rows, _train_rows))
    if current.test is not None:
        tested = current.test.rows
    if current.train is not None and current.valid is not None:
        trained = {"train": current.train.whole, "valid": current.valid.whole}
    return _split(
        results,
        lambda _, metrics: (
            metrics.test is None  # a source without truth: there are no numbers that could be of other rows
            or (_test_rows(metrics) in (None, tested) and _train_rows(metrics) in ({}, trained))
        ),
    )


def _split_by_steps(results: _Results, current: Current) -> tuple[_Results, list[RunKey]]:
    """Results that have numbers of all current steps, and the others' keys."""
    wanted = set(current.steps or ())
    return _split(results, lambda _, metrics: metrics.test is None or wanted <= set(metrics.test.steps))


def _split_by_parameters(results: _Results) -> tuple[_Results, list[RunKey]]:
    """Results that were trained as the newest seed of their run was, and the others' keys."""
    by_run: dict[str, list[Metrics]] = {}
    for (run, _), metrics in results.items():
        by_run.setdefault(run, []).append(metrics)
    wanted = {run: _newest(found, _parameters) for run, found in by_run.items()}
    return _split(results, lambda run, metrics: _parameters(metrics) in ({}, wanted[run]))


def _split_by_judgement(results: _Results) -> tuple[_Results, list[RunKey]]:
    """Results that were judged as the newest one was, and the others' keys."""
    wanted = _newest(results.values(), _evaluation)
    return _split(results, lambda _, metrics: _evaluation(metrics) in (None, wanted))


def _once_if_deterministic(results: _Results) -> _Results:
    """A run in which nothing is drawn is compared once, whatever seeds it was run with: its newest result."""
    newest: dict[str, RunKey] = {}
    for key, metrics in results.items():
        if metrics.deterministic:
            before = newest.get(key[0])
            if before is None or results[before].provenance.made <= metrics.provenance.made:
                newest[key[0]] = key
    return {key: metrics for key, metrics in results.items() if newest.get(key[0], key) == key}


def _split(results: _Results, keep: Callable[[str, Metrics], bool]) -> tuple[_Results, list[RunKey]]:
    kept = {key: metrics for key, metrics in results.items() if keep(key[0], metrics)}
    return kept, [key for key in results if key not in kept]


def _newest(results: Iterable[Metrics], read: Callable[[Metrics], Any]) -> Any:
    """What is read off the result that was judged last, of those that have it; None where none has."""
    having = [metrics for metrics in results if read(metrics)]
    return read(max(having, key=lambda metrics: metrics.provenance.made)) if having else None


def _test_rows(metrics: Metrics) -> str | None:
    return metrics.provenance.data.get("test")


def _evaluation(metrics: Metrics) -> dict[str, Any] | None:
    return metrics.provenance.parameters.get("evaluation")


def _confidence(results: _Results) -> float | None:
    """Level of the intervals, which is the same for all results that are left."""
    evaluation = _newest(results.values(), _evaluation)
    return None if evaluation is None else evaluation.get("confidence")


def _train_rows(metrics: Metrics) -> dict[str, str]:
    """Fingerprints of the rows that a run learnt from and chose by; none for the oracle."""
    data = {} if metrics.trained is None else metrics.trained.data
    return {name: data[name] for name in ("train", "valid") if name in data}


def _parameters(metrics: Metrics) -> dict[str, Any]:
    """Parameters that decide what comes out of the training."""
    parameters = {} if metrics.trained is None else metrics.trained.parameters
    return {name: without_machine(value) for name, value in parameters.items()}


def _settings(metrics: Metrics) -> RunSettings | None:
    """What a run was trained with; None for the oracle."""
    if metrics.trained is None:
        return None
    parameters = _parameters(metrics)
    training, changed = dict(parameters.get("training") or {}), dict(parameters.get("options_changed") or {})
    # The one option that every network has: whether networks differ in it is a reader's first question.
    shared = "embedding_dim"
    if training and shared in parameters.get("options", {}):
        training[shared] = parameters["options"][shared]
        changed.pop(shared, None)
    return RunSettings(training=training, changed=changed)


_Row = tuple[str | None, str | None, str, float | None]
"""Segment, step, metric, value."""


def _table(results: _Results, rows: Callable[[Metrics], Iterator[_Row]], columns: Sequence[str]) -> pd.DataFrame:
    """One number a row, with the run, its model and seed."""
    lines = [(run, metrics.model, seed, *row) for (run, seed), metrics in results.items() for row in rows(metrics)]
    table = pd.DataFrame(lines, columns=list(SEGMENT_COLUMNS))
    return table.astype({"seed": "Int64", "value": "float64"})[list(columns)]


def _whole(metrics: Metrics) -> Iterator[_Row]:
    """Numbers over all rows: of each step, of the training, and how many rows there are."""
    for step, of_step in metrics.test.steps.items() if metrics.test else ():
        yield from ((None, step, name, value) for name, value in _numbers(of_step))
    for step, share in metrics.test.order_violations.items() if metrics.test else ():
        yield None, step, "order_violations", share
    yield from ((None, None, name, value) for name, value in metrics.training.items())
    if metrics.trained is not None:
        yield None, None, DETERMINISTIC, float(metrics.deterministic)
    if metrics.learnt is not None:
        yield None, None, LEARNT, float(metrics.learnt)
    if metrics.ranks is not None:
        yield None, None, RANKS, float(metrics.ranks)
    if metrics.test is not None:
        yield None, None, "rows", metrics.test.rows


def _of_segments(metrics: Metrics) -> Iterator[_Row]:
    for segment, steps in metrics.test.segments.items() if metrics.test else ():
        for step, of_step in steps.items():
            yield from ((segment, step, name, value) for name, value in _numbers(of_step))


def _numbers(result: Result) -> Iterator[tuple[str, float | None]]:
    return ((name, value) for name, value in result if name != "note")
