"""Versions that were deleted by hand, and a clock that jumped back."""

import shutil

import pandas as pd
import pytest
from tests.conftest import newest
from tests.faults.conftest import assert_sentence, numbers, run, run_whole

PREPARED = "05_model_input/test/test_examples.parquet"

pytestmark = pytest.mark.end_to_end

MODELLING = ("--pipelines=modelling", "--namespaces=logistic.seed0")


def kedro_run(project, *options):
    from tests.faults.conftest import RUN

    return run(project, (*RUN[:4], "--env=test", *options))


def test_a_deleted_version_is_missed_by_name(used, undisturbed):
    shutil.rmtree(newest(used, PREPARED).parents[1])
    done = kedro_run(used, *MODELLING)
    assert_sentence(done)
    assert "test_examples" in done.stderr
    assert "--pipelines=preparation" in done.stderr
    pd.testing.assert_frame_equal(run_whole(used), undisturbed, check_exact=True)


def test_an_older_version_that_comes_into_force_is_no_substitute_if_its_rows_are_others(used):
    """After a preparation with another split, the newest test examples are deleted: those of before are others."""
    assert kedro_run(used, "--pipelines=preparation", "--params=split.train_share=0.5").returncode == 0
    shutil.rmtree(newest(used, PREPARED).parent)
    done = kedro_run(used, *MODELLING)
    assert_sentence(done)


def test_a_clock_that_jumped_back_is_noticed_before_anything_runs(used):
    file = newest(used, PREPARED)
    file.parent.rename(file.parents[1] / "2099-01-01T00.00.00.000Z")
    before = numbers(used)
    done = kedro_run(used, "--pipelines=full")
    assert_sentence(done)
    assert "2099-01-01T00.00.00.000Z" in done.stderr
    pd.testing.assert_frame_equal(numbers(used), before)
