"""What the documentation shows is what is there."""

import re

import pytest

from aitm_kedro.config.schema import MODEL_OPTIONS
from aitm_kedro.learning.layers.tower import KINDS
from tests.conftest import ROOT

MODELS = (ROOT / "docs/models.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", MODELS, flags=re.MULTILINE | re.DOTALL)


def test_the_worked_example_is_the_registered_model():
    code, line = blocks("python")
    assert code == (ROOT / "src/aitm_kedro/models/shared_bottom.py").read_text()
    assert line in (ROOT / "src/aitm_kedro/models/registry.py").read_text()
    assert blocks("yaml")[1] in (ROOT / "conf/base/parameters/modelling.yml").read_text()


@pytest.mark.parametrize("name", [*MODEL_OPTIONS, *KINDS])
def test_every_model_and_tower_is_described(name):
    assert f"| `{name}` |" in MODELS


@pytest.mark.parametrize(
    "path", ["README.md", *(f"docs/{name}" for name in ("models.md", "results.md", "simulator.md"))]
)
def test_links_into_the_project_lead_somewhere(path):
    folder = (ROOT / path).parent
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / path).read_text()):
        assert target.startswith("https://") or (folder / target).exists(), target
