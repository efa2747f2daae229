"""Names of a command are checked before anything runs, and a version is pinned under every name of its file."""

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets import JSON
from aitm_kedro.session import pin, select

VERSIONS = [f"2024-01-0{day}T00.00.00.000Z" for day in (1, 2, 3, 4)]


def same(value):
    return value


def node(source, target, name, **options):
    return Node(same, source, target, name=name, **options)


STAGES = {
    "first": Pipeline([node("raw", "table@arrow", "read_rows", tags=["ingestion"])]),
    "second": Pipeline(
        [
            node("table@pandas", "aitm.seed0.weights", "train", namespace="aitm.seed0"),
            node("aitm.seed0.weights", "aitm.seed0.metrics", "judge", namespace="aitm.seed0"),
        ]
    ),
    "scoring": Pipeline([node("aitm_seed0_weights", "scores", "score")]),
}
PIPELINES = STAGES | {"__default__": STAGES["first"] + STAGES["second"]}


def chosen(names=("__default__",), **options):
    return [each.name for each in select(PIPELINES, names, options).nodes]


def test_names_that_are_there_choose_nodes():
    assert chosen() == ["read_rows", "aitm.seed0.train", "aitm.seed0.judge"]
    assert chosen(("second", "scoring"), namespaces=["aitm"]) == ["aitm.seed0.train", "aitm.seed0.judge"]
    assert chosen(from_inputs=["table"], to_nodes=["aitm.seed0.train"]) == ["aitm.seed0.train"]
    assert chosen(tags=["ingestion"]) == ["read_rows"]


@pytest.mark.parametrize(
    ("names", "options", "sentence"),
    [
        (["frist"], {}, "There is no pipeline 'frist'; did you mean 'first'?"),
        (["zzz"], {}, "There is no pipeline 'zzz'; there are first, second and scoring."),
        (
            ["first"],
            {"node_names": ["read_row"]},
            "--nodes names 'read_row', which is no node of first; did you mean 'read_rows'?",
        ),
        (
            ["first"],
            {"from_nodes": ["aitm.seed0.train"]},
            "which is no node of first; the pipeline 'second' has it: --pipelines=second.",
        ),
        (
            ["__default__"],
            {"to_nodes": ["zzz"]},
            "--to-nodes names 'zzz', which is no node; there are aitm.seed0.judge, aitm.seed0.train and read_rows.",
        ),
        (["__default__"], {"node_names": ["train"]}, "which is no node; did you mean 'aitm.seed0.train'?"),
        (
            ["__default__"],
            {"namespaces": ["atm"]},
            "--namespaces names 'atm', which is no namespace; did you mean 'aitm'?",
        ),
        (
            ["__default__"],
            {"tags": ["ingestoin"]},
            "--tags names 'ingestoin', which is no tag; did you mean 'ingestion'?",
        ),
        (
            ["__default__"],
            {"from_inputs": ["tabel"]},
            "--from-inputs names 'tabel', which is no dataset; did you mean 'table'?",
        ),
        (["__default__"], {"to_outputs": ["wieghts"]}, "--to-outputs names 'wieghts', which is no dataset; there are"),
        (
            ["__default__"],
            {"node_names": ["read_rows"], "namespaces": ["aitm"]},
            "No node is chosen by --nodes and --namespaces together",
        ),
    ],
)
def test_a_name_that_is_not_there_ends_in_a_sentence(names, options, sentence):
    with pytest.raises(InputError) as caught:
        select(PIPELINES, names, options)
    assert sentence in str(caught.value)


@pytest.fixture
def catalog(tmp_path):
    """Four versions of the weights, none of the table; ``raw`` has no versions."""
    weights = {"type": JSON, "filepath": str(tmp_path / "weights.json"), "versioned": True}
    entries = {
        "aitm.seed0.weights": weights,
        "aitm_seed0_weights": weights,
        "table@pandas": {"type": JSON, "filepath": str(tmp_path / "table.json"), "versioned": True},
        "raw": {"type": JSON, "filepath": str(tmp_path / "raw.json")},
    }
    for version in VERSIONS:
        DataCatalog.from_config(entries, save_version=version).save("aitm.seed0.weights", {})
    return DataCatalog.from_config(entries)


@pytest.mark.parametrize("given", ["aitm.seed0.weights", "aitm_seed0_weights"])
@pytest.mark.parametrize(
    ("pipeline", "read"),
    [
        ("second", ["aitm.seed0.weights"]),
        ("scoring", ["aitm_seed0_weights"]),
    ],
)
def test_a_version_is_pinned_under_the_name_that_is_read(catalog, given, pipeline, read):
    assert pin({given: VERSIONS[1]}, STAGES[pipeline], catalog) == dict.fromkeys(read, VERSIONS[1])


def test_a_version_is_pinned_under_every_name_that_is_read(catalog):
    both = STAGES["second"] + STAGES["scoring"]
    assert set(pin({"aitm.seed0.weights": VERSIONS[0]}, both, catalog)) == {"aitm.seed0.weights", "aitm_seed0_weights"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"aitm.seed0.wieghts": VERSIONS[0]},
            "names 'aitm.seed0.wieghts', which nothing that runs reads; did you mean 'aitm.seed0.weights'?",
        ),
        ({"scores": VERSIONS[0]}, "names 'scores', which nothing that runs reads"),
        (
            {"aitm.seed0.weights": "2025-01-01T00.00.00.000Z"},
            "There is no version '2025-01-01T00.00.00.000Z' of 'aitm.seed0.weights'; the newest of 4 are "
            f"{VERSIONS[3]}, {VERSIONS[2]} and {VERSIONS[1]}.",
        ),
        ({"table": VERSIONS[0]}, "names 'table@pandas', of which there is no version yet; run what makes it first."),
        ({"raw": VERSIONS[0]}, "names 'raw', which has no versions; take it out of the option."),
    ],
)
def test_a_version_that_cannot_be_pinned_ends_in_a_sentence(catalog, given, sentence):
    with pytest.raises(InputError) as caught:
        pin(given, PIPELINES["__default__"], catalog)
    assert sentence in str(caught.value)
