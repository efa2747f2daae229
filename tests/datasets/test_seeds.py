"""One dataset for all seeds of a run."""

import shutil

import pytest
from kedro.io import DataCatalog

from aitm_kedro.datasets import Seeds
from aitm_kedro.running.record import dataset_versions


def when(day):
    return f"2024-01-{day:02d}T00.00.00.000Z"


@pytest.fixture
def save(tmp_path):
    """A function that saves what one seed has found on a day, and gives the catalog."""
    each = {"type": "aitm_kedro.datasets.JSON", "versioned": True}
    entries = {
        "{run}.seed{seed}.metrics": each | {"filepath": f"{tmp_path}/{{run}}/seed{{seed}}/metrics.json"},
        "{run}_results@metrics": {
            "type": "aitm_kedro.datasets.Seeds",
            "each": "{run}.seed*.metrics",
            "dataset": each | {"filepath": f"{tmp_path}/{{run}}/seed*/metrics.json"},
        },
    }

    def saved(seed, day, run="aitm"):
        catalog = DataCatalog.from_config(entries, save_version=when(day))
        catalog.save(f"{run}.seed{seed}.metrics", {"seed": seed, "day": day})
        return catalog

    return saved


def test_the_newest_of_every_seed_is_read_in_order_of_seeds(save):
    for seed, day in ((10, 1), (0, 1), (2, 1), (2, 3), (10, 2)):
        catalog = save(seed, day)
    save(1, 1, run="ple")
    loaders = catalog.load("aitm_results@metrics")
    assert [load() for load in loaders.values()] == [
        {"seed": seed, "day": day} for seed, day in ((0, 1), (2, 3), (10, 2))
    ]
    assert list(loaders) == [0, 2, 10]


def test_seeds_that_saved_nothing_are_not_there(save, tmp_path):
    catalog = save(0, 1)
    (tmp_path / "aitm/seed1/metrics.json" / when(1)).mkdir(parents=True)  # a version that is not whole
    (tmp_path / "aitm/seed_of_mine/metrics.json").mkdir(parents=True)
    assert list(catalog.load("aitm_results@metrics")) == [0]
    assert catalog.exists("aitm_results@metrics")
    shutil.rmtree(tmp_path / "aitm/seed0")
    assert catalog.load("aitm_results@metrics") == {}
    assert not catalog.exists("aitm_results@metrics")


def test_brackets_in_the_path_stand_for_themselves(tmp_path):
    (tmp_path / "a[b]").mkdir()
    entry = {"type": "aitm_kedro.datasets.JSON"}
    view = Seeds(each="x.seed*.metrics", dataset=entry | {"filepath": f"{tmp_path}/a[b]/x_seed*.json"})
    (tmp_path / "a[b]/x_seed3.json").write_text("{}")
    assert list(view.load()) == [3]


def test_saving_leaves_the_files_of_the_seeds_alone(save, tmp_path):
    catalog = save(0, 1)
    before = sorted(tmp_path.rglob("*"))
    catalog.save("aitm_results@metrics", [0])
    assert sorted(tmp_path.rglob("*")) == before
    assert catalog.load("aitm_results@metrics")[0]() == {"seed": 0, "day": 1}


def test_the_record_of_a_run_names_the_versions_of_all_seeds(save):
    """By these names old versions are kept that a comparison was made from."""
    from kedro.pipeline import Pipeline, node

    save(0, 1)
    catalog = save(1, 2)
    compare = Pipeline([node(lambda results: results, "aitm_results@metrics", "comparison", name="compare")])
    assert dataset_versions(compare, catalog) == {"aitm.seed0.metrics": when(1), "aitm.seed1.metrics": when(2)}
