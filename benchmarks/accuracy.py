"""How well every run ranks on real logs and on the simulator, five seeds each: the table of docs/accuracy.md.

    python benchmarks/accuracy.py                         # all logs, the configuration as it stands
    python benchmarks/accuracy.py --logs teaching films --params training.preset=paper --folder .tmp/paper

Each log is an environment of a project in a folder of its own, and runs as anybody's would: `ingestion`, `preparation`
and `benchmark`, of which only what is missing or out of date is done again.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
from real_logs import LOGS, write_logs

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run all logs, and print a table of their steps' AUCs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--logs", nargs="+", choices=[*LOGS, "base"], default=[*LOGS, "base"])
    parser.add_argument("--folder", type=Path, default=ROOT / ".tmp/accuracy", help="of data and results")
    parser.add_argument("--params", help="parameters for all logs, as of `kedro run`")
    options = parser.parse_args()
    project = make_project(options.folder)
    for log in options.logs:
        run_log(project, log, params=options.params)
    for log in options.logs:
        print(f"\n## {log}\n\n{table_of(project, log)}")


def make_project(folder: Path) -> Path:
    """The configuration as it stands, with an environment for each log; data that is there stays."""
    project, logs = folder / "project", folder / "logs"
    if not logs.exists():
        write_logs(logs)
    shutil.rmtree(project / "conf", ignore_errors=True)
    shutil.copytree(ROOT / "conf", project / "conf", ignore=shutil.ignore_patterns("local"))
    shutil.copytree(logs / "conf", project / "conf", dirs_exist_ok=True)
    for name in ("conf/local", "src"):
        (project / name).mkdir(exist_ok=True)
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, project)
    return project


def prepare(project: Path, log: str, *, params: str | None = None) -> None:
    """Ingest and prepare a log."""
    kedro_run(project, log, "ingestion,preparation", params=params)


def run_log(project: Path, log: str, *, params: str | None) -> None:
    """Bring the results of a log up to date."""
    prepare(project, log, params=params)
    kedro_run(project, log, "benchmark", params=params)


def kedro_run(project: Path, log: str, pipelines: str, *, params: str | None) -> None:
    """Run pipelines on a log, in a process of their own; what goes wrong ends this one."""
    environment = [] if log == "base" else [f"--env={log}"]
    given = [] if params is None else [f"--params={params}"]
    command = [sys.executable, "-m", "kedro", "run", f"--pipelines={pipelines}", *environment, *given]
    print(log, pipelines, flush=True)
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stdout[-3000:] + result.stderr[-3000:])


def table_of(project: Path, log: str) -> str:
    """Mean and standard deviation of the test AUC over seeds: a row a run, a column for each step and their mean.

    Marked are the best run of a step (**bold**) and those that no paired test tells apart from it (*).
    """
    reports = project / "data/08_reporting" / log
    newest = max((reports / "comparison_summary.csv").glob("*/comparison_summary.csv"))
    summary = pd.read_csv(newest)
    steps = list(dict.fromkeys(summary["step"]))
    lines = [f"| run | {' | '.join(steps)} | mean |", f"| --- |{' ---: |' * (len(steps) + 1)}"]
    for run, rows in summary.groupby("run", sort=False):
        by_step = rows.set_index("step").loc[steps]
        cells = [_cell(row) for _, row in by_step.iterrows()]
        lines.append(f"| {run} | {' | '.join(cells)} | {by_step['auc'].mean():.4f} |")
    return "\n".join(lines)


def _cell(row: "pd.Series[float]") -> str:
    text = f"{row['auc']:.4f}" + (f" ± {row['auc_std']:.4f}" if row["seeds"] > 1 else "")
    if row["best"]:
        return f"**{text}**"
    return f"{text} *" if row["tied"] else text


if __name__ == "__main__":
    main()
