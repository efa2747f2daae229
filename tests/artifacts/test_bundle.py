"""A bundle is complete, in open formats, and refused where it is not as it was written."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from aitm_kedro.artifacts.bundle import load_bundle
from aitm_kedro.artifacts.predictor import Predictor
from aitm_kedro.core.checksums import CHECKSUMS, seal
from aitm_kedro.core.errors import InputError
from aitm_kedro.tables.reports import KeepRates


@pytest.fixture
def folder(world, tmp_path):
    world.bundle().save(tmp_path / "bundle")
    return tmp_path / "bundle"


def rewrite(folder, **facts):
    """Change the manifest as another version of the project might have written it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | facts))
    seal(folder)


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_comes_back_as_it_was(every, make_log, tmp_path):
    bundle = every.bundle(rates=KeepRates(overall=0.3, per_segment={"north": 0.5}), rename={"city": "CITY"})
    bundle.save(tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle")
    assert loaded.manifest == bundle.manifest
    assert loaded.vocabulary.equals(bundle.vocabulary)
    assert loaded.trained.spec == bundle.trained.spec
    predictor = Predictor.load(tmp_path / "bundle", device="cpu", threads=1)
    assert predictor.predict(make_log(50)).equals(Predictor(bundle).predict(make_log(50)))


def test_holds_open_formats_alone(every, tmp_path):
    every.bundle().save(tmp_path / "bundle")
    files = files_of(tmp_path / "bundle")
    assert {path.suffix for path in files} <= {".json", ".parquet", ".safetensors", ".txt"}
    for path in files:
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK")), f"{path.name} looks like a pickle, or like torch's archive"
    assert {path.name for path in files} >= {"manifest.json", "vocabulary.parquet", "model.json", "history.json"}


def test_every_file_is_sealed(folder):
    sealed = json.loads((folder / CHECKSUMS).read_text())
    assert [*sealed] == [p.relative_to(folder).as_posix() for p in files_of(folder) if p != folder / CHECKSUMS]


def test_a_bit_flipped_in_any_file_is_refused(every, tmp_path):
    folder = tmp_path / "bundle"
    every.bundle().save(folder)
    for path in files_of(folder):
        content = path.read_bytes()
        for place in {0, len(content) // 2, len(content) - 1}:
            damaged = bytearray(content)
            damaged[place] ^= 4
            path.write_bytes(damaged)
            # A checksum that was changed speaks of its file.
            named = ".*" if path.name == CHECKSUMS else path.relative_to(folder).as_posix()
            with pytest.raises(InputError, match=f"cannot be trusted: '{named}' (is not as it was written|is missing)"):
                load_bundle(folder)
        path.write_bytes(content)
    load_bundle(folder)


def test_a_missing_file_is_refused(folder, tmp_path):
    names = [path.relative_to(folder) for path in files_of(folder)]
    for name in names:
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        (copy / name).unlink()
        expected = "there is no bundle in" if name.name == "manifest.json" else f"'{name.as_posix()}' is missing"
        with pytest.raises(InputError, match=expected):
            load_bundle(copy)
        shutil.rmtree(copy)


def test_a_file_too_many_is_refused(folder):
    (folder / "model" / "code.pkl").write_bytes(b"")
    with pytest.raises(InputError, match=r"'model/code\.pkl' does not belong there"):
        load_bundle(folder)


@pytest.mark.parametrize("written", [0, 2, "1", None])
def test_another_format_is_refused(folder, written):
    rewrite(folder, format=written)
    with pytest.raises(InputError, match=rf"has the format {written}, and this version of aitm-kedro reads format 1;"):
        load_bundle(folder)


@pytest.mark.parametrize("content", ["[]", "{", "no JSON", "null"])
def test_a_manifest_that_is_none_is_refused(folder, content):
    (folder / "manifest.json").write_text(content)
    seal(folder)
    with pytest.raises(InputError, match=r"manifest\.json of the bundle .* cannot be read"):
        load_bundle(folder)


def test_facts_that_are_not_known_are_refused(folder):
    rewrite(folder, colour="red")
    with pytest.raises(InputError, match=r"written by another version of aitm-kedro \(colour: "):
        load_bundle(folder)


def test_options_that_are_not_known_are_refused(folder):
    spec = json.loads((folder / "model/model.json").read_text())
    (folder / "model/model.json").write_text(json.dumps(spec | {"options": spec["options"] | {"new": 1}}))
    seal(folder / "model")
    seal(folder)
    with pytest.raises(InputError, match="trained with options that this version does not know"):
        Predictor.load(folder)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_no_bundle_at_all(tmp_path, name):
    with pytest.raises(InputError, match=r"there is no bundle in .*: it has no manifest\.json"):
        load_bundle(tmp_path / name)


def test_of_several_versions_the_newest_is_taken(world, tmp_path):
    for seed, version in enumerate(
        ["2026-01-31T23.00.00.000Z", "2026-02-01T00.00.00.000Z", "2025-12-01T00.00.00.000Z"]
    ):
        (tmp_path / "bundle" / version).mkdir(parents=True)
        world.bundle(seed=seed).save(tmp_path / "bundle" / version / "bundle")
    assert load_bundle(tmp_path / "bundle").manifest.seed == 1
    assert load_bundle(str(tmp_path / "bundle")).manifest.seed == 1
    assert load_bundle(tmp_path / "bundle/2026-01-31T23.00.00.000Z/bundle").manifest.seed == 0


def test_is_complete(every, make_log, tmp_path):
    """Another process predicts in an empty folder, where there is neither configuration nor data."""
    every.bundle().save(tmp_path / "bundle")
    frame = make_log(20)
    frame.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "empty").mkdir()
    code = """
import sys, pandas as pd
from aitm_kedro.artifacts.predictor import Predictor
predictor = Predictor.load(sys.argv[1], device="cpu", threads=1)
predictor.predict(pd.read_parquet(sys.argv[2])).to_parquet(sys.argv[3])
assert "kedro" not in sys.modules
"""
    paths = [str(tmp_path / name) for name in ("bundle", "rows.parquet", "found.parquet")]
    subprocess.run([sys.executable, "-c", code, *paths], cwd=tmp_path / "empty", check=True, timeout=120)
    pd.testing.assert_frame_equal(pd.read_parquet(paths[2]), every.predictor().predict(frame), rtol=0, atol=1e-6)
    assert not list((tmp_path / "empty").iterdir())


def test_tells_how_good_it_is(world):
    known = {"click": 0.9, "buy": 0.6}
    assert world.bundle(valid_auc=known).manifest.validation_score == pytest.approx(0.75)
    assert world.bundle(valid_auc=known | {"buy": None}).manifest.validation_score == 0.9
    assert world.bundle(valid_auc=dict.fromkeys(known)).manifest.validation_score is None
    early = world.funnel.model_copy(update={"main_steps": ("buy",)})
    assert world.bundle(valid_auc=known, funnel=early).manifest.validation_score == 0.6
