"""A disk that is full at a random moment, and one that cannot be written: a sentence, and nothing is lost."""

import os
import random
import shutil
import subprocess

import pandas as pd
import pytest
from tests.conftest import make_project
from tests.faults.conftest import assert_sentence, leftovers, run, run_whole

FULL_DISKS = max(1, int(os.environ.get("AITM_FAULTS", "2")) // 5)

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def mounted(tmp_path):
    """A project whose data/ is a small disk; ``resize(options)`` mounts it anew with other options."""
    project = make_project(tmp_path)
    data = project / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(data)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk (tmpfs), which root has")

    def remount(options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(data)], check=True)

    try:
        yield project, remount
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


@pytest.mark.parametrize("number", range(FULL_DISKS))
def test_a_full_disk_ends_in_a_sentence_and_the_next_run_in_the_same_numbers(number, mounted, finished, undisturbed):
    project, remount = mounted
    needed = sum(path.stat().st_size for path in (finished / "data").rglob("*") if path.is_file())
    remount(f"size={int(random.Random(number).uniform(0.02, 0.9) * needed)}")
    done = run(project)
    assert_sentence(done)
    assert "full" in done.stdout + done.stderr
    remount(f"size={4 * needed}")
    pd.testing.assert_frame_equal(run_whole(project), undisturbed, check_exact=True)
    assert not leftovers(project)


def test_data_that_cannot_be_written_end_in_a_sentence_before_anything_runs(mounted):
    project, remount = mounted
    remount("ro")
    done = run(project)
    assert_sentence(done)
    assert "data" in done.stderr
    assert "ingest_impressions" not in done.stdout + done.stderr
