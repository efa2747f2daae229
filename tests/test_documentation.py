"""What the documentation shows is what is there."""

import re
from importlib.util import find_spec

import pytest

from aitm_kedro.config.schema import MODEL_OPTIONS
from aitm_kedro.learning.layers.tower import KINDS
from tests.conftest import ROOT

MODELS = (ROOT / "docs/models.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", MODELS, flags=re.MULTILINE | re.DOTALL)


def test_the_worked_examples_are_what_is_registered():
    learner, learner_import, learner_line, options, network, network_line = blocks("python")
    learning = ROOT / "src/aitm_kedro/learning"
    assert learner == (learning / "naive_bayes.py").read_text()
    assert network == (learning / "networks/shared_bottom.py").read_text()
    assert options in (learning / "network_options.py").read_text()
    for line in (learner_import, learner_line, network_line):
        assert line in (learning / "registry.py").read_text()
    written = (ROOT / "conf/base/parameters/modelling.yml").read_text()
    for block in blocks("yaml"):
        if block.startswith(("naive_bayes:", "shared_bottom:")):
            assert block in written


@pytest.mark.parametrize("name", [*MODEL_OPTIONS, *KINDS])
def test_every_model_and_tower_is_described(name):
    assert f"| `{name}` |" in MODELS


@pytest.mark.parametrize("path", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_links_into_the_project_lead_somewhere(path):
    folder = (ROOT / path).parent
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / path).read_text()):
        assert target.startswith("https://") or (folder / target).exists(), target


def test_modules_that_make_runs_are_there():
    modules = re.findall(r"python -m (aitm_kedro\S*)", (ROOT / "Makefile").read_text())
    assert modules
    assert all(find_spec(module) for module in modules), modules
