"""SIGKILL at random moments: the next run gives the numbers of an undisturbed one, and nothing stays behind."""

import os
import random
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd
import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from tests.faults.conftest import SCORES, kill_after, leftovers, run_whole

from aitm_kedro.datasets import Figure

KILLS = int(os.environ.get("AITM_FAULTS", "2"))

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_starts_again_with_the_numbers_of_an_undisturbed_one(
    number, used, project, undisturbed, duration, monkeypatch
):
    if number % 2:  # where a run has finished before
        project = used
    kill_after(project, random.Random(number).uniform(1, duration))
    load_everything(project, monkeypatch)
    before = set((project / "data").glob(f"{SCORES}/*"))
    pd.testing.assert_frame_equal(run_whole(project), undisturbed, check_exact=True)
    assert set((project / "data").glob(f"{SCORES}/*")) > before
    assert not leftovers(project)


def load_everything(project, monkeypatch):
    """Load the newest version of every dataset that is there; one that is torn would raise."""
    monkeypatch.chdir(project)
    bootstrap_project(project)
    from kedro.framework.project import pipelines

    with KedroSession.create(project_path=Path(project), env="test") as session:
        catalog = session.load_context().catalog
        names = {name for name in pipelines["full"].datasets() if not name.startswith("param")}
        for name in sorted(names - {"raw_impressions"}):
            dataset = catalog.get(name)
            if dataset is None or isinstance(dataset, Figure) or not dataset.exists():
                continue
            loaded = dataset.load()
            if isinstance(loaded, ir.Table):
                loaded.count().to_pyarrow()
