"""An entry of the catalog names a dataset and gives it what it takes, or a sentence says what is wrong."""

import pytest

from aitm_kedro.catalog_entries import check_entry
from aitm_kedro.core.errors import InputError

TABLE = {"type": "aitm_kedro.datasets.Table", "filepath": "x.parquet"}


@pytest.mark.parametrize(
    "entry",
    [
        TABLE,
        TABLE | {"versioned": True, "connection": {"backend": "duckdb"}, "metadata": {"kedro-viz": {"layer": "raw"}}},
        {"type": "aitm_kedro.datasets.tables.Table", "filepath": "{run}/x.parquet"},
        {"type": "pandas.CSVDataset", "filepath": "x.csv", "load_args": {"sep": ";"}},
        {"type": "MemoryDataset"},
    ],
)
def test_an_entry_that_is_right_passes(entry):
    check_entry("rows", entry, "conf/shop/catalog.yml, line 3")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"tpye": "x"}, "has no 'type'; name the class of a dataset, for a table 'type: aitm_kedro.datasets.Table'."),
        ({"type": 3}, "has no 'type'"),
        (
            TABLE | {"type": "aitm_kedro.datasets.Tabel"},
            "the type 'aitm_kedro.datasets.Tabel', which cannot be found; did you mean 'aitm_kedro.datasets.Table'?",
        ),
        (TABLE | {"type": "Table"}, "which cannot be found; did you mean 'aitm_kedro.datasets.Table'?"),
        (TABLE | {"type": "pandas.Nothing"}, "has the type 'pandas.Nothing', which cannot be found; "),
        (TABLE | {"type": "aitm_kedro.core.errors.InputError"}, "all dataset types must extend 'AbstractDataset'."),
        (
            TABLE | {"filepaht": "x"},
            "has the key 'filepaht', which aitm_kedro.datasets.Table does not take; did you mean",
        ),
        ({"type": TABLE["type"]}, "lacks 'filepath', which aitm_kedro.datasets.Table needs."),
        (TABLE | {"connection": "duckdb"}, "must be a mapping with a 'backend', as in globals.yml; it is 'duckdb'."),
    ],
)
def test_an_entry_that_cannot_be_ends_in_a_sentence(entry, sentence):
    with pytest.raises(InputError) as caught:
        check_entry("rows", entry, "conf/shop/catalog.yml, line 3")
    message = str(caught.value)
    assert message.startswith("conf/shop/catalog.yml, line 3: the ")
    assert "'rows'" in message
    assert sentence in message
    assert "\n" not in message
