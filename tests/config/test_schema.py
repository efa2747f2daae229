"""Every YAML file loads in every environment, and says what the code means by default."""

import pytest
from kedro.framework.project import configure_project, pipelines, settings
from kedro.io import DataCatalog
from tests.conftest import ROOT

from aitm_kedro.config.schema import MODEL_OPTIONS, TOP_LEVEL, check_parameters, with_defaults
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.datasets import AliCCP, AliCCPReport, SimulatedFunnel

ENVIRONMENTS = sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir() and path.name != "local")


WITHOUT_DEFAULT = ("funnel", "features", "runs", "reference", "explain", "keep_versions")
"""Keys of the simulated log and of its study, and those whose value is no block."""


def loader(environment, **options):
    configure_project("aitm_kedro")
    return settings.CONFIG_LOADER_CLASS(str(ROOT / "conf"), env=environment, **settings.CONFIG_LOADER_ARGS, **options)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_parameters_of_every_environment_are_valid(environment):
    parameters = loader(environment)["parameters"]
    assert set(parameters) == set(TOP_LEVEL)
    for key, value in parameters.items():
        with_defaults(key, value)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_catalog_of_every_environment_knows_every_dataset_and_keeps_it_apart(environment):
    catalog = DataCatalog.from_config(loader(environment)["catalog"])
    assert isinstance(catalog.get("raw_impressions"), AliCCP if environment.startswith("ali_") else SimulatedFunnel)
    for name in (pipelines["full"].datasets() | pipelines["benchmark"].datasets()) - {"raw_impressions"}:
        if not name.startswith("params:"):
            dataset = catalog.get(name)
            assert type(dataset).__module__.startswith("aitm_kedro.datasets"), name
            # What reads the files of others has a place of its own for what it makes of them.
            place = dataset._describe()["path"] if isinstance(dataset, AliCCP | AliCCPReport) else dataset._filepath
            assert f"/{environment}/" in str(place), name


def test_the_written_parameters_are_the_defaults_of_the_code():
    """conf/base shows every key; the code's defaults are what an environment falls back on. They must not differ."""
    for key, written in loader("base")["parameters"].items():
        if key in WITHOUT_DEFAULT:
            continue
        assert TOP_LEVEL[key].model_validate(written) == TOP_LEVEL[key](), key
        assert set(written) == set(TOP_LEVEL[key].model_fields), f"conf/base does not show every field of {key}"


def test_every_key_but_those_of_the_log_is_written_and_has_a_default():
    written = loader("base")["parameters"]
    assert {"ali_ccp", "published"} <= set(written) == set(TOP_LEVEL)


def test_the_catalog_reads_parameters_as_the_stages_see_them():
    """What is written, what the default is, and what --params says."""
    changes = {
        "ali_ccp": {"folder": "/elsewhere", "max_values": 7},
        "features": {"categorical": ["101"], "lists": ["210"]},
    }
    for given, folder, values in (({}, "data/01_raw/ali_ccp", None), (changes, "/elsewhere", 7)):
        entry = loader("ali_ccp", runtime_params=given)["catalog"]["raw_impressions"]
        assert entry["filepath"] == folder
        assert entry["max_values"] == values
        assert entry["max_unreadable"] == 0.001
        features = Features.model_validate(entry["features"])
        assert (len(features.categorical), len(features.lists)) == ((1, 1) if given else (18, 0))


def test_every_model_shares_embedding_size_and_defaults():
    """The comparison is fair: what is common to the networks is the same by default."""
    sizes = {options().embedding_dim for options in MODEL_OPTIONS.values() if "embedding_dim" in options.model_fields}
    assert sizes == {5}


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"mmoe": {"alpha": 0.6}}, "give 'mmoe' the option 'alpha', which belongs to aitm. Options of 'mmoe'"),
        ({"aitm": {"num_leaves": 70}}, "give 'aitm' the option 'num_leaves', which belongs to lightgbm"),
        ({"mlp": {"patience": 5}}, "the option 'patience', which belongs to training, which all networks share"),
        ({"logistic": {"embedding_dim": 5}}, "which belongs to mlp, shared_bottom, esmm, omoe, mmoe, ple, aitm"),
        ({"mmeo": {}}, "unknown key 'mmeo'. Did you mean 'mmoe'?"),
        ({"weather": {}}, "unknown key 'weather'. Known keys: ali_ccp, funnel, features,"),
        (
            {"ali_ccp": {"max_values": 0}},
            r"at ali_ccp.max_values: Input should be greater than or equal to 1 \(it is 0\)",
        ),
        (
            {"ali_ccp": {"max_unreadable": 1.5}},
            r"at ali_ccp.max_unreadable: Input should be less than 1 \(it is 1.5\)",
        ),
        ({"keep_versions": 0}, r"wrong at keep_versions: Input should be greater than or equal to 1 \(it is 0\)"),
        ({"scoring": {"runs": "aitm"}}, "wrong at scoring.runs: there is no such option"),
        ({"aitm": {"alpha": -1}}, r"wrong at aitm.alpha: Input should be greater than or equal to 0 \(it is -1\)"),
        ({"esmm": {"numeric": "linear"}}, "wrong at esmm.numeric: numeric is 'linear'; choose among bins"),
        (
            {"funnel": {"steps": ["a"], "main_steps": ["a"]}, "training": {"task_weights": {"b": 2}}},
            "training.task_weights names 'b', but funnel.steps are a; name one of them",
        ),
        ({"ali_ccp": {"fodler": "x"}}, "wrong at ali_ccp.fodler: there is no such option"),
    ],
)
def test_an_option_of_another_model_and_an_unknown_key_are_named(parameters, sentence):
    with pytest.raises(InputError, match=sentence.replace("?", r"\?")):
        check_parameters(parameters)


def test_options_of_ones_own_pass():
    check_parameters({"aitm": {"alpha": 0.3, "tower": "nfm"}, "mmoe": {"experts_per_task": 3}})
    assert MODEL_OPTIONS["aitm"].model_validate({"tower": "nfm"}).tower.kind == "nfm"
