"""What happens around every run, and when; each concern has a module of its own."""

import atexit
import contextlib
import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from aitm_kedro.config_loader import configured_runs
from aitm_kedro.core.provenance import NodeCost
from aitm_kedro.datasets.versions import local_path
from aitm_kedro.learning.history import RunHistory
from aitm_kedro.running.lineage import breaks, describe_breaks, note_lineage
from aitm_kedro.running.lock import command_line, sole_run
from aitm_kedro.running.log import FILE, WarningCollector, logged
from aitm_kedro.running.readiness import (
    check_clock,
    check_device,
    check_folders,
    check_inputs,
    unfinished,
)
from aitm_kedro.running.record import RECORD, peak_memory, record_run, runner_name
from aitm_kedro.running.retention import prune_versions, sweep_leftovers
from aitm_kedro.running.summary import closing_lines

Catalog = CatalogProtocol[Any, Any]
logger = logging.getLogger(__name__)
details = logging.getLogger("aitm_kedro.details")
"""Of what is written to the log file only."""

BRIEF = 0.1
"""Seconds; nodes that take less are told in the log file only."""


@dataclass
class _Run:
    """A run that has begun.

    Attributes:
        closing: gives back the lock and the log.
        catalog: of the run.
        parameters: raw, or made objects by Kedro.
        thread: that runs it.
        started: node -> when, on the clock of ``time.perf_counter``.
        nodes: node -> what it took.
        unnoted: nodes that have run, of whose results it is not written down yet what they were made from.
    """

    closing: contextlib.ExitStack
    catalog: Catalog
    parameters: dict[str, Any]
    thread: int = field(default_factory=threading.get_ident)
    started: dict[str, float] = field(default_factory=dict)
    nodes: dict[str, NodeCost] = field(default_factory=dict)
    unnoted: list[Node] = field(default_factory=list)

    def note_lineages(self, identifier: str) -> None:
        """Write down what was made from what, as far as it has been saved by now."""
        self.unnoted = [
            node
            for node in self.unnoted
            if not note_lineage(node, self.catalog, parameters=self.parameters, save_version=identifier)
        ]


class ProjectHooks:
    """Hooks of the project, registered in ``settings.py``."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}  # by Kedro's id; a service may have several
        self._parameters: dict[str, Any] = {}
        self._project = Path()
        self._warnings = WarningCollector()
        atexit.register(self._end_all)  # Ctrl-C ends a run of a plain KedroSession without a word to hooks

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Read the parameters, which the loader refuses if they are wrong, before anything runs."""
        self._warnings.start()
        self._project = context.project_path
        self._parameters = dict(context.params)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: Catalog) -> None:
        """Open the log, take the lock of the environment, and check everything that can be checked by now."""
        for identifier, run in list(self._runs.items()):
            if run.thread == threading.get_ident():  # interrupted in a notebook
                self.end(identifier)
        with contextlib.ExitStack() as closing:
            closing.callback(self._warnings.stop)
            closing.enter_context(logged(self._project, environment=run_params["env"]))
            details.info("%s", "\n".join([command_line(), *self._warnings.sentences]))  # from before the log was open
            check_folders(pipeline, catalog, project=self._project)
            record = local_path(RECORD, catalog)
            closing.enter_context(sole_run(record and record.parent, environment=run_params["env"] or "base"))
            sweep_leftovers(catalog, {name for registered in pipelines.values() for name in registered.datasets()})
            self._check(run_params, pipeline, catalog)
            self._runs[run_params["run_id"]] = _Run(closing.pop_all(), catalog, self._parameters)

    def _check(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: Catalog) -> None:
        check_clock(pipeline, catalog, save_version=run_params["run_id"])
        resumes = run_params["only_missing_outputs"] or "ResumingRunner" in str(run_params["runner"])
        check_inputs(
            unfinished(pipeline, catalog) if resumes else pipeline,
            catalog,
            registered=dict(pipelines.items()),
            environment=run_params["env"],
        )
        networks = {run.name for run in configured_runs().runs if run.reads_training}
        check_device(pipeline, self._parameters, networks=networks)
        registered = dict(pipelines.items())
        found = breaks(pipeline, catalog, registered=registered, parameters=self._parameters)
        for sentence in describe_breaks(found, registered=registered):
            logger.warning("%s", sentence, extra={"kind": sentence})

    @hook_impl
    def before_node_run(self, node: Node, run_id: str) -> None:
        """Start the clock of a node."""
        if run_id in self._runs:  # not in the processes of a ParallelRunner
            self._runs[run_id].note_lineages(run_id)
            self._runs[run_id].started[node.name] = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Node, outputs: dict[str, Any], run_id: str) -> None:
        """Say how long a node took, how much memory the process has needed at most so far, and what a run learnt."""
        if run_id not in self._runs:
            return
        run = self._runs[run_id]
        seconds, gigabytes = time.perf_counter() - run.started.pop(node.name), peak_memory()
        run.unnoted.append(node)
        run.nodes[node.name] = NodeCost(seconds=round(seconds, 3), peak_gigabytes=round(gigabytes, 3))
        learnt = _validated(outputs)
        told = logger if learnt or seconds >= BRIEF else details
        told.info("%s: %.1f s, %.2f GB%s", node.name, seconds, gigabytes, learnt)

    @hook_impl(trylast=True)
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: Catalog) -> None:
        """Save what this run was, prune old versions, sum up, and give back the lock."""
        identifier = run_params["run_id"]
        run = self._runs[identifier]
        try:
            run.unnoted = pipeline.nodes  # a ParallelRunner runs them in processes, a ThreadRunner side by side
            run.note_lineages(identifier)
            record = record_run(
                run_params=run_params,
                parameters=run.parameters,
                pipeline=pipeline,
                catalog=catalog,
                nodes=run.nodes,
                warnings=self._warnings.sentences,
            )
            catalog.save(RECORD, record)
            names = {name for registered in pipelines.values() for name in registered.datasets()}
            prune_versions(catalog, pipeline, keep=run.parameters.get("keep_versions"), names=names)
            for line in closing_lines(
                pipeline,
                catalog,
                parameters=run.parameters,
                project=self._project,
                workers=runner_name(run_params) == "ParallelRunner",
                warnings=list(self._warnings.kinds.values()),
                log=FILE,
            ):
                logger.info("%s", line)
        finally:
            self.end(identifier)

    @hook_impl(trylast=True)
    def on_pipeline_error(self, error: Exception, run_params: dict[str, Any]) -> None:
        """Write where in the code a run failed into the log, and give back the lock."""
        details.info("The run failed.", exc_info=error)
        if run := self._runs.get(run_params["run_id"]):
            run.note_lineages(run_params["run_id"])
        self.end(run_params["run_id"])

    def end(self, identifier: str) -> None:
        """Give back the lock and the log of a run, unless that is done."""
        if identifier in self._runs:
            self._runs.pop(identifier).closing.close()

    def _end_all(self) -> None:
        for identifier in list(self._runs):
            self.end(identifier)


def _validated(outputs: dict[str, Any]) -> str:
    """Mean AUC of the funnel's main steps on validation, if a node has trained a run."""
    for history in outputs.values():
        if isinstance(history, RunHistory):
            return f", validation AUC {'undefined' if history.main_auc is None else f'{history.main_auc:.4f}'}"
    return ""
