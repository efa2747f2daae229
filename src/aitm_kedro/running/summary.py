"""The last lines of a run: where the results are, which run won and by how much, and what warned on the way."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from aitm_kedro.comparison.findings import describe_best
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.datasets.versions import local_path, version
from aitm_kedro.running.log import shortened
from aitm_kedro.running.record import as_plain

TABLE, SUMMARY = "comparison_table", "comparison_summary"
WARNINGS, CHARACTERS = 5, 110
"""Kinds of warnings that are repeated, and how much of each."""

Catalog = CatalogProtocol[Any, Any]


def closing_lines(
    pipeline: Pipeline,
    catalog: Catalog,
    *,
    parameters: Mapping[str, Any],
    project: Path,
    warnings: Sequence[Sequence[str]],
    workers: bool = False,
    log: str,
) -> Iterator[str]:
    """What a run that has ended says last.

    Args:
        pipeline: that has run.
        catalog: of the run.
        parameters: raw, or made objects by Kedro.
        project: its folder.
        warnings: sentences that were given on the way, by kind.
        workers: whether nodes ran in processes of their own, whose warnings are not among those.
        log: the file with the details.
    """
    yield _results(pipeline, catalog, project)
    if SUMMARY in pipeline.all_outputs():
        funnel = Funnel.model_validate(as_plain(parameters["funnel"]))
        step = funnel.ordered_main_steps[-1]
        yield describe_best(catalog.load(SUMMARY), step=step) or f"No run has learnt to rank by {step}."
    if workers:
        yield f"What warned in the processes of the runner is not repeated here. Details: {log}"
    elif not warnings:
        yield f"Nothing warned. Details: {log}"
    if not warnings:
        return
    count = sum(map(len, warnings))
    yield f"{count} warning{'s' if count > 1 else ''} (details: {log}):"
    for kind in warnings[:WARNINGS]:
        yield f"- {shortened(kind[0], CHARACTERS)}" + (f" ({len(kind) - 1} more like it)" if len(kind) > 1 else "")
    if len(warnings) > WARNINGS:
        yield f"- and {len(warnings) - WARNINGS} of other kinds"


def _results(pipeline: Pipeline, catalog: Catalog, project: Path) -> str:
    """Where the results are: the table, where the run made one, else the folders."""
    table = local_path(TABLE, catalog)
    if TABLE in pipeline.all_outputs() and table is not None:
        figures = [name for name in pipeline.all_outputs() if (local_path(name, catalog) or Path()).suffix == ".png"]
        drawn = f" and {len(figures)} figure{'s' if len(figures) > 1 else ''}" if figures else ""
        return f"Results: {table.name}{drawn} in {_short(table, project).parent}, version {version(TABLE, catalog)}"
    paths = (local_path(name, catalog) for name in sorted(pipeline.all_outputs()))
    folders = {_layer(path, project) for path in paths if path is not None}
    return f"Results: {', '.join(map(str, sorted(folders))) or 'none that are kept'}"


def _layer(path: Path, project: Path) -> Path:
    """Layer of the data and environment that a file is in, such as data/06_models/base; elsewhere its folder."""
    short = _short(path, project).parent
    return short if short.is_absolute() else Path(*short.parts[:3])


def _short(path: Path, project: Path) -> Path:
    return path.relative_to(project) if path.is_relative_to(project) else path
