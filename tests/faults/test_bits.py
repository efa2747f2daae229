"""One flipped bit in each part of a model or a bundle: it is refused, each time."""

import random
import re
import shutil

import pytest
from tests.conftest import newest

from aitm_kedro.artifacts.bundle import load_bundle
from aitm_kedro.core.errors import InputError
from aitm_kedro.learning.registry import load_trained

FOLDERS = [
    (run, what, load)
    for run in ("aitm", "lightgbm", "logistic")
    for what, load in (("weights", load_trained), ("bundle", load_bundle))
]


def flip_bit(path, draw):
    """Turn over one bit of a file."""
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


@pytest.mark.end_to_end
@pytest.mark.parametrize(("run", "what", "load"), FOLDERS, ids=[f"{run}-{what}" for run, what, _ in FOLDERS])
def test_a_flipped_bit_in_any_part_is_refused(run, what, load, finished, tmp_path):
    source = newest(finished, f"06_models/test/{run}/seed0/{what}")
    load(source)
    files = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    assert len(files) > 3
    for number, file in enumerate(files):
        damaged = tmp_path / str(number)
        shutil.copytree(source, damaged)
        flip_bit(damaged / file, random.Random(number))
        with pytest.raises(InputError, match=re.escape(str(damaged))):
            load(damaged)
