"""Every YAML file loads in every environment, and says what the code means by default."""

import pytest
from kedro.framework.project import configure_project, pipelines, settings
from kedro.io import DataCatalog

from aitm_kedro.configuration import TOP_LEVEL
from aitm_kedro.datasets import SimulatedFunnel
from tests.conftest import ROOT

ENVIRONMENTS = sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir() and path.name != "local")


def loader(environment):
    configure_project("aitm_kedro")
    return settings.CONFIG_LOADER_CLASS(str(ROOT / "conf"), env=environment, **settings.CONFIG_LOADER_ARGS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_parameters_of_every_environment_are_valid(environment):
    parameters = loader(environment)["parameters"]
    assert set(parameters) == set(TOP_LEVEL)
    for key, value in parameters.items():
        TOP_LEVEL[key].model_validate(value)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_catalog_of_every_environment_knows_every_dataset_and_keeps_it_apart(environment):
    catalog = DataCatalog.from_config(loader(environment)["catalog"])
    assert isinstance(catalog.get("raw_impressions"), SimulatedFunnel)
    for name in pipelines["full"].datasets() - {"raw_impressions"}:
        if not name.startswith("params:"):
            dataset = catalog.get(name)
            assert type(dataset).__module__.startswith("aitm_kedro.datasets"), name
            assert f"/{environment}/" in str(dataset._filepath), name


def test_the_written_parameters_are_the_defaults_of_the_code():
    """conf/base shows every key; the code's defaults are what an environment falls back on. They must not differ."""
    for key, written in loader("base")["parameters"].items():
        if key in ("funnel", "features"):  # of the simulated log: there is no default funnel
            continue
        assert TOP_LEVEL[key].model_validate(written) == TOP_LEVEL[key](), key
        assert set(written) == set(TOP_LEVEL[key].model_fields), f"conf/base does not show every field of {key}"
