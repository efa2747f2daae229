"""Wiring of the preparation stage; what its nodes do is tested in tests/tables."""

from aitm_kedro.pipelines.preparation import create_pipeline
from aitm_kedro.tables.parameters import Labels

PIPELINE = create_pipeline()
NODES = {node.name: node for node in PIPELINE.nodes}


def test_every_node_can_be_run_by_name_and_tag():
    assert set(NODES) == {
        *("check_labels", "check_published", "split_impressions", "downsample_negatives"),
        *("build_vocabulary", "describe_features", "encode_train", "encode_valid", "encode_test"),
        *("check_features", "measure_drift", "describe_dataset"),
    }
    assert all(node.tags == {"preparation"} for node in PIPELINE.nodes)


def test_the_stage_begins_with_impressions_and_parameters():
    assert {name for name in PIPELINE.inputs() if not name.startswith("params:")} == {"impressions"}


def test_reports_are_results_that_no_later_node_needs():
    reports = {"illegal_impressions", "counts_report", "drift_report", "dataset_statistics"}
    assert reports <= PIPELINE.outputs()


def test_test_is_encoded_as_it_is_and_the_others_downsampled():
    sources = {name: node.inputs[0] for name, node in NODES.items() if name.startswith("encode_")}
    assert sources == {
        "encode_train": "train_sample",
        "encode_valid": "valid_sample",
        "encode_test": "test_impressions",
    }


def test_what_may_fail_for_want_of_rows_knows_which_were_set_aside():
    """Their sentences name the inconsistent labels, by the label report."""
    assert {name for name, node in NODES.items() if "label_report" in node.inputs} == {
        "split_impressions",
        "downsample_negatives",
    }
    assert Labels().policy == "drop"  # so that there are such rows by default


def test_drift_is_measured_on_all_splits():
    assert NODES["measure_drift"].inputs[:3] == ["train_examples@table", "valid_examples@table", "test_examples@table"]
