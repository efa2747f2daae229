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


WITHOUT_DEFAULT = ("funnel", "features", "runs", "reference", "explain", "keep_versions", "feature_check")
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
            described = dataset._describe()
            place = described["path"] if isinstance(dataset, AliCCP | AliCCPReport) else described["filepath"]
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


FUNNEL = {"steps": ["a"], "main_steps": ["a"]}


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"mmoe": {"alpha": 0.6}}, "mmoe.alpha is unknown; it belongs to aitm."),
        ({"aitm": {"num_leaves": 70}}, "aitm.num_leaves is unknown; it belongs to lightgbm."),
        (
            {"mlp": {"patience": 5}},
            "mlp.patience is unknown; it belongs to training, which all networks share: training.patience.",
        ),
        (
            {"logistic": {"embedding_dim": 5}},
            "logistic.embedding_dim is unknown; it belongs to mlp, shared_bottom, esmm, omoe, mmoe, ple, resflow and "
            "aitm.",
        ),
        ({"mmeo": {}}, "mmeo is unknown; did you mean 'mmoe'?"),
        (
            {"weather": {}},
            "weather is unknown; known are ali_ccp, funnel, features, ingestion, labels, split, sampling, vocabulary, "
            "feature_check, published and 23 more.",
        ),
        ({"ali_ccp": {"max_values": 0}}, "ali_ccp.max_values must be a whole number, at least 1, or null; it is 0."),
        (
            {"ali_ccp": {"max_unreadable": 1.5}},
            "ali_ccp.max_unreadable must be a number, at least 0 and below 1; it is 1.5.",
        ),
        ({"ali_ccp": {"fodler": "x"}}, "ali_ccp.fodler is unknown; did you mean 'folder'?"),
        ({"keep_versions": 0}, "keep_versions must be a whole number, at least 1, or null; it is 0."),
        ({"reference": None}, "reference must be text; it is null."),
        ({"runs": None}, "runs must be a mapping of name: value; it is null."),
        ({"scoring": {"runs": "aitm"}}, "scoring.runs is unknown; did you mean 'run'?"),
        ({"aitm": {"alpha": -1}}, "aitm.alpha must be a number, at least 0; it is -1."),
        ({"esmm": {"numeric": "linear"}}, "esmm.numeric: numeric is 'linear'; choose among bins, piecewise_linear."),
        ({"training": [1]}, "training must be a mapping of name: value; it is [1]."),
        ({"training": {1: 2}}, "training has the key 1, which is no text; put it into quotes."),
        ({"esmm": {"tower": "cnn"}}, "esmm.tower.kind must be mlp, nfm, deepfm or afm; it is 'cnn'."),
        (
            {"sampling": {"positive_share": 1.5}},
            "sampling.positive_share must be a number, above 0 and below 1, or null; it is 1.5.",
        ),
        ({"training": {"device": "tpu"}}, "training.device must be auto, cpu, cuda or mps; it is 'tpu'."),
        ({"funnel": FUNNEL | {"main_steps": ["b"]}}, "funnel.main_steps names ['b'], not among funnel.steps ['a']."),
        (
            {"funnel": FUNNEL | {"windows": {"a": -1}}},
            "funnel.windows.a is -1.0; a window is a positive number of days.",
        ),
        ({"funnel": {"steps": ["a"]}}, "funnel.main_steps is missing; it must be a list with at least one value."),
        ({"split": {"by": "dates"}}, "split.by is 'dates'; set split.valid_from and split.test_from."),
        (
            {"features": {"categorical": "user"}},
            "features.categorical must be a list; it is 'user'.",
        ),
        (
            {"runs": {"aitm": {"alpha": 0}}},
            "runs.aitm.alpha is unknown; put it under options: runs.aitm.options.alpha.",
        ),
        ({"runs": {"aitm": {"option": {}}}}, "runs.aitm.option is unknown; did you mean 'options'?"),
        (
            {"runs": {"aitm": {"options": {"alhpa": 0}}}},
            "runs.aitm.options.alhpa is unknown; did you mean 'alpha'?",
        ),
        (
            {"runs": {"x": {"model": "ple", "options": {"alpha": 0}}}},
            "runs.x.options.alpha is unknown; it belongs to aitm.",
        ),
        (
            {"runs": {"x": {"model": "aitm", "options": {"tower": {"layers": 8}}}}},
            "runs.x.options.tower.layers must be a list with at least one value; it is 8.",
        ),
    ],
)
def test_a_mistake_in_a_block_is_named_with_what_is_allowed(parameters, sentence):
    with pytest.raises(InputError) as caught:
        check_parameters(parameters)
    assert str(caught.value) == f"The parameters: {sentence}"


def test_all_mistakes_of_all_blocks_are_named_together_with_their_files():
    wrong = {"training": {"batch_size": "many", "epochs": 3}, "sampling": {"positive_share": 2}, "trainig": {}}
    with pytest.raises(InputError) as caught:
        check_parameters(wrong, where=lambda path: f"conf/{path[0]}.yml")
    assert str(caught.value).splitlines() == [
        "The parameters are wrong in 4 places.",
        "conf/sampling.yml: sampling.positive_share must be a number, above 0 and below 1, or null; it is 2.",
        "conf/trainig.yml: trainig is unknown; did you mean 'training'?",
        "conf/training.yml: training.batch_size must be a whole number, above 0 or auto; it is 'many'.",
        "conf/training.yml: training.epochs is unknown; did you mean 'max_epochs'?",
    ]


def test_keys_that_contradict_each_other_end_in_a_sentence():
    weights = {"funnel": FUNNEL, "training": {"task_weights": {"b": 2}}}
    with pytest.raises(
        InputError, match=r"training\.task_weights names 'b', but funnel\.steps are a; name one of them"
    ):
        check_parameters(weights)
    with pytest.raises(InputError, match="features names 'a', which is a label of the funnel; take it out"):
        check_parameters({"funnel": FUNNEL, "features": {"categorical": ["a"]}})
    with pytest.raises(InputError, match="columns 'oracle_\\*' hold the truth; take it out"):
        check_parameters({"funnel": FUNNEL, "features": {"numeric": ["oracle_a"]}})


def test_options_of_ones_own_pass():
    check_parameters({"aitm": {"preset": "paper", "alpha": 0.3, "tower": "nfm"}, "mmoe": {"experts_per_task": 3}})
    assert MODEL_OPTIONS["aitm"].model_validate({"tower": "nfm"}).tower.kind == "nfm"
