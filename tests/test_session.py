"""Names of a command are checked before anything runs, and a version is pinned under every name of its file."""

import pytest
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.provenance import RunRecord
from aitm_kedro.datasets import JSON, Seeds
from aitm_kedro.running.lock import HOLDER, LOCK
from aitm_kedro.session import ProjectSession, pin, select
from tests.conftest import newest, nothing_left_behind

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
JUDGE = STAGES["second"].only_nodes("aitm.seed0.judge")
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
        "aitm_results": {
            "type": Seeds,
            "each": "aitm.seed*.metrics",
            "dataset": {"type": JSON, "filepath": str(tmp_path / "seed*/metrics.json"), "versioned": True},
        },
    }
    (tmp_path / "seed0/metrics.json" / VERSIONS[0]).mkdir(parents=True)
    (tmp_path / "seed0/metrics.json" / VERSIONS[0] / "metrics.json").write_text("{}")
    for version in VERSIONS:
        DataCatalog.from_config(entries, save_version=version).save("aitm.seed0.weights", {})
    return DataCatalog.from_config(entries)


@pytest.mark.parametrize("given", ["aitm.seed0.weights", "aitm_seed0_weights"])
@pytest.mark.parametrize(
    ("pipeline", "read"),
    [
        (JUDGE, ["aitm.seed0.weights"]),
        (STAGES["scoring"], ["aitm_seed0_weights"]),
    ],
)
def test_a_version_is_pinned_under_the_name_that_is_read(catalog, given, pipeline, read):
    assert pin({given: VERSIONS[1]}, pipeline, catalog) == dict.fromkeys(read, VERSIONS[1])


def test_a_version_is_pinned_under_every_name_that_is_read(catalog):
    both = JUDGE + STAGES["scoring"]
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
        ({"zzz": VERSIONS[0]}, "reads; those with versions are aitm.seed0.weights and table."),
        ({"made": VERSIONS[0]}, "names 'made', which this run makes anew; leave out the nodes that make it"),
        ({"aitm.seed0.metrics": VERSIONS[0]}, "which 'aitm_results' reads, always in its newest version; take it out"),
    ],
)
def test_a_version_that_cannot_be_pinned_ends_in_a_sentence(catalog, given, sentence):
    reading = [
        node("raw", "rows", "read"),
        node("table@pandas", "made", "make"),
        node("made", "shown", "show"),
        node("aitm_results", "compared", "compare"),
    ]
    with pytest.raises(InputError) as caught:
        pin(given, JUDGE + Pipeline(reading), catalog)
    assert sentence in str(caught.value)


class Interrupted(SequentialRunner):
    """As if somebody had pressed Ctrl-C."""

    def run(self, *_, **__):
        raise KeyboardInterrupt


class TestInOneProcess:
    """Several sessions, as in a notebook."""

    @pytest.fixture
    def create(self, project):
        with nothing_left_behind():
            bootstrap_project(project)
            yield lambda **options: ProjectSession.create(project_path=project, **options)

    def test_a_run_is_of_its_own_environment_and_parameters_whatever_was_looked_at_since(self, project, create):
        session = create(env="test", runtime_params={"training": {"max_epochs": 7}})
        assert session.load_context().env == "test"
        create().load_context()
        session.run(pipeline_names=["ingestion"])
        assert [path.name for path in (project / "data/02_intermediate").iterdir()] == ["test"]
        record = RunRecord.model_validate_json(newest(project, "08_reporting/test/run_record.json").read_text())
        assert record.parameters["training"]["max_epochs"] == 7

    def test_a_run_reads_files_that_changed_since_somebody_looked_into_the_catalog(self, project, create):
        session = create(env="test")
        assert session.load_context().params["seeds"] == {"full": [0], "benchmark": [0, 1, 2, 3, 4]}
        (project / "conf/test/parameters_more.yml").write_text("seeds: {full: [1]}\n")
        session.run(node_names=["ingest_impressions"])
        record = RunRecord.model_validate_json(newest(project, "08_reporting/test/run_record.json").read_text())
        assert record.parameters["seeds"] == {"full": [1]}

    @pytest.mark.parametrize(
        ("arguments", "options"),
        [((), {"pipeline_name": "scoring"}), (("scoring",), {}), ((None, ["scoring"]), {})],
    )
    def test_names_may_be_given_in_every_way_that_kedro_takes(self, create, arguments, options):
        with pytest.raises(InputError, match="there yet, but this run reads"):  # and not: is no node
            create(env="test").run(*arguments, node_names=["score_audience"], **options)

    def test_the_lock_is_given_back_on_ctrl_c(self, project, create):
        with pytest.raises(KeyboardInterrupt):
            create(env="test").run(pipeline_names=["ingestion"], runner=Interrupted())
        folder = project / "data/08_reporting/test"
        assert (folder / LOCK).exists()
        assert not (folder / HOLDER).exists()
