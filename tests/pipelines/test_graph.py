"""The graph as Kedro-Viz draws it. It loads a project into one global store, so each test has a process of its own."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from tests.conftest import ROOT

FOLDERS = sorted(path.name for path in (ROOT / "data").iterdir() if path.is_dir())
ENVIRONMENTS = sorted(path.parent.name for path in ROOT.glob("conf/*/catalog.yml"))

BLENDED = [(run, seed) for run in ("aitm", "mmoe", "lightgbm") for seed in (0, 1)] + [("logistic", 0)]

LOAD = """
import json, sys
from pathlib import Path
from kedro_viz.data_access import data_access_manager as data
from kedro_viz.server import load_and_populate_data
found = {}
for environment in sys.argv[1:]:
    data.reset_fields()
    load_and_populate_data(Path.cwd(), env=environment)
    for name in [pipeline.id for pipeline in data.registered_pipelines.as_list()]:
        tree = data.create_modular_pipelines_tree_for_registered_pipeline(name)
        nodes = data.get_nodes_for_registered_pipeline(name)
        beside = [data.nodes.get_node_by_id(child.id) for child in tree["__root__"].children]
        found[f"{environment}.{name}"] = {
            "layers": data.get_sorted_layers_for_registered_pipeline(name),
            "used": sorted({node.layer for node in nodes if getattr(node, "layer", None)}),
            "datasets": sorted(node.name.partition("@")[0] for node in beside if node.type == "data"),
            "boxes": sorted(node.name for node in beside if node.type == "modularPipeline"),
        }
print("found" + json.dumps(found))
"""


def draw(project, *environments):
    command = [sys.executable, "-c", LOAD, *environments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("found")[2])


@pytest.mark.end_to_end
def test_layers_come_in_the_order_of_the_data_in_every_view(project):
    """A node that makes something of an earlier layer than what it reads would leave a view without layers."""
    found = draw(project, "base", "ali_ccp")
    assert {"base.full", "base.modelling", "ali_ccp.comparison", "ali_ccp.scoring"} <= set(found)
    assert found["base.full"]["used"] == FOLDERS
    for name, view in found.items():
        assert [layer for layer in view["layers"] if layer in view["used"]] == view["used"], name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_puts_no_dataset_into_another_layer(environment):
    base = catalog(ROOT / "conf/base/catalog")
    for name, entry in catalog(ROOT / "conf" / environment).items():
        layer = entry["metadata"]["kedro-viz"]["layer"]
        assert layer in FOLDERS
        assert layer == base[name]["metadata"]["kedro-viz"]["layer"]


def catalog(folder):
    entries = {}
    for path in folder.glob("*.yml" if folder.name == "catalog" else "catalog*.yml"):
        entries |= yaml.safe_load(path.read_text())
    return {name: entry for name, entry in entries.items() if not name.startswith("_")}


@pytest.mark.end_to_end
def test_one_dataset_stands_beside_the_box_of_a_run_however_many_seeds_it_has(project):
    path = project / "conf/base/parameters/runs.yml"
    seeds = "seeds: {full: [0, 1], benchmark: [0, 1]}"
    path.write_text(re.sub(r"^seeds: .*$", seeds, path.read_text(), flags=re.MULTILINE))
    found = draw(project, "test")
    for name in ("full", "modelling", "benchmark"):
        view = found[f"test.{name}"]
        assert {"aitm", "lightgbm", "logistic", "oracle"} <= set(view["boxes"])
        results = {f"{run}_results" for run in view["boxes"] if run != "oracle"} | {"oracle_metrics"}
        assert results <= set(view["datasets"]), name
        shown = {dataset for dataset in view["datasets"] if "seed" in dataset}
        assert shown == {f"{run}.seed{seed}.weights" for run, seed in BLENDED}, name  # the ensemble reads them
    assert not [dataset for dataset in found["test.comparison"]["datasets"] if "seed" in dataset]
