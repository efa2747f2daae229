"""The central test: encoded rows equal those of an independent reading in plain Python, whatever is in the files."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from tests.conftest import kedro, make_project, newest
from tests.sources.ali_ccp.files import NAMES

from aitm_kedro.core.features import VOCABULARY, Features, ListFeature
from aitm_kedro.core.funnel import Funnel, weights_column
from aitm_kedro.core.published import Published
from aitm_kedro.datasets import AliCCP, AliCCPReport
from aitm_kedro.pipelines import ingestion, preparation
from aitm_kedro.sources.ali_ccp import Fields, Options, ensure_impressions, parsing
from aitm_kedro.sources.ali_ccp.layout import REASONS, SINGLE_VALUED
from aitm_kedro.tables.parameters import Ingestion, Labels, Sampling, Split, VocabularyOptions

SPLITS = ("train", "valid", "test")
LISTS = (ListFeature(name="109_14", weights="109_14_weights"), ListFeature(name="210", weights="210_weights"))
RULES = {"paper": {"min_count": 10, "count_on": "train"}, "released": {"min_count": 12, "count_on": "train_and_valid"}}
CONNECTION = {"backend": "duckdb", "database": ":memory:", "threads": 2}


class _Kept(MemoryDataset):
    """Stays readable after the run."""

    def _release(self) -> None:
        pass


def prepare(folder, target, *, preset, lists=()):
    """Both stages as Kedro runs them; returns every data set, and the report of the source."""
    features = Features(categorical=SINGLE_VALUED, lists=lists)
    source = {
        "filepath": str(folder),
        "path": str(target),
        "features": features.model_dump(),
        "max_unreadable": 0.5,
    }
    parameters = {
        "funnel": Funnel(steps=("click", "purchase"), main_steps=("purchase",)),
        "features": features,
        "ingestion": Ingestion(),
        "published": Published(),
        "split": Split(by="column", column="split"),
        "labels": Labels(),
        "sampling": Sampling(positive_share=None),
        "vocabulary": VocabularyOptions(preset=preset),
    }
    pipeline = ingestion.create_pipeline() + preparation.create_pipeline()
    pipeline -= pipeline.only_nodes("check_features")  # reads arrays, which this catalog does not have
    catalog = DataCatalog({name: _Kept(copy_mode="assign") for name in pipeline.datasets()})
    catalog["raw_impressions"] = AliCCP(**source, connection=CONNECTION)
    catalog["source_report"] = AliCCPReport(**source)
    for name, value in parameters.items():
        catalog[f"params:{name}"] = value
    SequentialRunner().run(pipeline, catalog)
    names = {*pipeline.all_outputs(), "source_report"}
    return {name: catalog[name].load() for name in names}


def assert_same_rows(table: pa.Table, rows, lists=()):
    """Ids of impressions, order, labels, ids of all fields, and weights."""
    expected = {
        "impression_id": [row.impression_id for row in rows],
        "click": [row.labels[0] for row in rows],
        "purchase": [row.labels[1] for row in rows],
        **{name: [row.ids[place] for row in rows] for place, name in enumerate(SINGLE_VALUED)},
        **{feature.name: [list(row.lists[place]) for row in rows] for place, feature in enumerate(lists)},
        **{
            weights_column(feature.name): [np.float32(row.weights[place]).tolist() for row in rows]
            for place, feature in enumerate(lists)
        },
    }
    assert set(table.column_names) == {*expected, VOCABULARY}
    for name, values in expected.items():
        assert table[name].to_pylist() == values, name


def vocabulary_of(table: pa.Table):
    """Field -> value -> id."""
    words = {name: {} for name in dict.fromkeys(table["feature"].to_pylist())}
    for word in table.to_pylist():
        if word["id"] > 0:
            words[word["feature"]][int(word["value"])] = word["id"]
    return words


def assert_same_counts(report, reading):
    """Every line, by file and reason, and all that is counted over the files."""
    found = {
        name: {words: count for words, count in account["unreadable"].items() if count}
        for name, account in report["files"].items()
    }
    expected = {
        name: {REASONS[reason]: count for reason, count in reading.unreadable.get(name, {}).items()} for name in NAMES
    }
    assert found == expected
    for split in ("train", "test"):
        assert report["rows"][split] == reading.counts[f"rows_{split}"]
        assert report["files"][f"sample_skeleton_{split}.csv"]["rows"] == reading.counts[f"rows_{split}"]
    for what in ("without_common_row", "repeated_field", "repeated_common_row", "feature_count_differs"):
        assert report[what] == reading.counts[what] > 0, what
        assert sum(account.get(what, 0) for account in report["files"].values()) == report[what]
    assert report["unreadable_lines"] == sum(sum(reasons.values()) for reasons in expected.values())


@pytest.mark.parametrize(
    ("preset", "lists", "size"), [("paper", (), 20_000), ("released", (), 8 << 20), ("paper", LISTS, 100_000)]
)
def test_encoded_rows_are_those_of_the_reference(tmp_path, spoilt, reference, read_in, preset, lists, size):
    read_in(size)
    reading = reference.read_folder(spoilt, lists=[feature.name for feature in lists], **RULES[preset])
    outputs = prepare(spoilt, tmp_path, preset=preset, lists=lists)
    assert vocabulary_of(outputs["vocabulary@table"].to_pyarrow()) == reading.vocabulary
    for split in SPLITS:
        assert_same_rows(outputs[f"{split}_examples@table"].to_pyarrow(), reading.rows[split], lists)
    assert_same_counts(outputs["source_report"], reading)
    assert outputs["ingestion_report"].source == outputs["source_report"]
    assert outputs["ingestion_report"].rows_aside.exact_duplicates == reading.counts["duplicates"] > 0
    inconsistent = Counter(outputs["illegal_impressions"].to_pyarrow()["split"].to_pylist())
    assert inconsistent == {split: reading.counts[f"illegal_{split}"] for split in ("train", "test")}


def test_the_files_hold_everything_that_may_be_met(spoilt, reference):
    reading = reference.read_folder(spoilt)
    for name in NAMES:
        reasons = {"columns", "feature_count", "features"}
        reasons |= {"sample_id", "label"} if "skeleton" in name else {"common_feature_index"}
        assert set(reading.unreadable[name]) == reasons
    assert all(reading.counts.values())
    assert -17 in reading.vocabulary["205"]
    assert all(reading.vocabulary.values())


def contents(folder, target):
    """All that reading leaves."""
    options = Options(
        fields=Fields(multi=("109_14", "210"), weighted=("109_14", "210")), max_values=5, max_unreadable=0.5
    )
    read = ensure_impressions(folder, target, options)
    table = pq.read_table(read.impressions)
    split = table["split"].cast(pa.string())
    report = json.loads(read.report.read_text())
    assert report.pop("unreadable_lines_in") == str(read.unreadable)
    return (
        table.set_column(table.column_names.index("split"), "split", split),
        pq.read_table(read.unreadable),
        report,
    )


def test_neither_chunks_nor_threads_matter(tmp_path, spoilt, read_in, monkeypatch):
    chunks, sifted = [], []
    parse, sift = parsing._read_lines, parsing._sift
    monkeypatch.setattr(parsing, "_read_lines", lambda *a, **k: (chunks.append(k["trusted"]), parse(*a, **k))[1])
    monkeypatch.setattr(parsing, "_sift", lambda *a: (sifted.append(1), sift(*a))[1])
    found = []
    for size, workers in ((2000, 1), (30_000, 3), (8 << 20, 1)):
        read_in(size, workers)
        found.append(contents(spoilt, tmp_path / str(size)))
        if size == 2000:  # some lines are longer, and most chunks have none that cannot be read
            assert 100 < len(sifted) < chunks.count(False) / 2
    for impressions, unreadable, report in found[1:]:
        assert impressions.equals(found[0][0])
        assert unreadable.equals(found[0][1])
        assert report == found[0][2]


@pytest.mark.end_to_end
def test_a_run_from_the_command_line_agrees_with_the_reference(tmp_path, spoilt, reference):
    project = make_project(tmp_path)
    files = f"ali_ccp.folder={spoilt},ali_ccp.max_unreadable=0.5"
    kedro(project, "run", "--env=ali_ccp", "--pipelines=ingestion,preparation", f"--params={files}")
    reading = reference.read_folder(spoilt)
    for split in SPLITS:
        path = newest(project, f"05_model_input/ali_ccp/{split}_examples.parquet")
        assert_same_rows(pq.read_table(path), reading.rows[split])
    path = newest(project, "08_reporting/ali_ccp/ingestion_report.json")
    assert_same_counts(json.loads(path.read_text())["source"], reading)
