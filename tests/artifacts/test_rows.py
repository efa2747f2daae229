"""What cannot be predicted ends in a sentence with the name of its column."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.tables.reports import KeepRates

# ibis asks DuckDB 1.5 for batches by an old name.


@pytest.fixture
def refuses(world, make_log):
    """Predict five rows with some columns replaced, which must end in a sentence."""

    def check(sentence, rows=None, **columns):
        frame = make_log(5).assign(**columns) if rows is None else rows
        with pytest.raises(InputError, match=sentence):
            world.predictor().predict(frame)

    return check


def test_missing_columns_are_named_with_the_nearest_name(refuses, make_log):
    frame = make_log(5)
    refuses(r"no column 'city'; did you mean 'cities' for 'city'\?", frame.rename(columns={"city": "cities"}))
    refuses("no column 'spend'; add it, with nulls where nothing is known", frame.drop(columns="spend"))
    refuses("no column 'city', 'spend', 'counts'; add it", frame.drop(columns=["city", "spend", "counts"]))


def test_missing_columns_of_every_kind_of_rows(refuses, make_log, connection):
    table = pa.Table.from_pandas(make_log(5).drop(columns="spend"), preserve_index=False)
    refuses("no column 'spend'", table)
    refuses("no column 'spend'", table.to_pylist())
    refuses("no column 'spend'", connection.create_table("rows", table))


@pytest.mark.parametrize(
    ("column", "values", "kind", "meaning"),
    [
        ("spend", pd.date_range("2024-01-01", periods=5), r"timestamp\[.*\]", "a number"),
        ("orders", [[1]] * 5, "list<.*>", "a number"),
        ("city", [["a"]] * 5, "list<.*>", "one value a row"),
        ("city", [{"name": "a"}] * 5, "struct<.*>", "one value a row"),
        ("tags", [1.0] * 5, "double", "a list of values in each row"),
        ("tags", [[b"a"]] * 5, "list<.*>", "a list of values in each row"),
        ("tags", [[["a"]]] * 5, "list<.*>", "a list of values in each row"),
        ("tags", [[{"a": 1}]] * 5, "list<.*>", "a list of values in each row"),
        ("counts", [["1"]] * 5, "list<.*>", "a list of numbers in each row"),
        ("counts", [1.0] * 5, "double", "a list of numbers in each row"),
    ],
)
def test_columns_of_another_type(refuses, column, values, kind, meaning):
    refuses(
        rf"column '{column}' is (large_)?{kind}, but the model reads it as {meaning}; convert it", **{column: values}
    )


def test_columns_of_another_type_in_a_table_of_an_engine(refuses, make_log, connection):
    table = pa.Table.from_pandas(make_log(5).assign(tags=1.0), preserve_index=False)
    refuses("column 'tags' is double, but the model reads it as a list of", connection.create_table("rows", table))


NUMBERS = r"column 'spend' must hold numbers from -3.4e\+38 to 3.4e\+38, or null, but"


@pytest.mark.parametrize(
    ("value", "said"), [(np.inf, "inf"), (-np.inf, "-inf"), (1e300, r"1e\+?300"), (-3.5e38, r"-3.5e\+38")]
)
def test_numbers_that_no_model_can_read(refuses, value, said):
    refuses(rf"{NUMBERS} 1 row holds something else, for example {said}; mend", spend=[1.0, value, np.nan, 2.0, 3.0])


def test_text_that_is_no_number(refuses):
    refuses(rf"{NUMBERS} 2 rows hold something else, for example much", spend=["1", "a lot", "much", "", None])


def test_text_that_is_no_list(refuses):
    refuses("column 'tags' must hold lists in JSON.* 5 rows .* for example a|b; if something", tags=["a|b"] * 5)


def test_a_number_too_large_for_any_type(refuses, make_log):
    records = pa.Table.from_pandas(make_log(5), preserve_index=False).to_pylist()
    records[2]["orders"] = 10**30
    refuses("column 'orders' holds values that do not go together in one type", records)


def test_as_many_weights_as_values(refuses):
    refuses(
        r"'counts' must hold one weight for each value of 'words', but 2 rows hold something else, for example \[",
        words=[[1, 2], [], None, [3], [4]],
        counts=[[1.0], [], None, None, [1.0]],
    )


@pytest.mark.parametrize(
    ("weight", "said"),
    [(-1.0, "-1.0"), (np.inf, "inf"), (1e300, r"1e\+?300"), (None, "nan|null"), (np.nan, "nan|null")],
)
def test_weights_that_are_none(refuses, weight, said):
    refuses(
        rf"'counts' must hold weights from 0 to 3.4e\+38, but 5 rows .*, for example 1.0, ({said}); mend",
        words=[[1, 2]] * 5,
        counts=[[1.0, weight]] * 5,
    )


def test_types_that_do_not_go_together(refuses, make_log):
    refuses("column 'city' holds values that do not go together in one type .*; make them one", city=["a", 1, 2, 3, 4])
    refuses("column 'impression_id' holds values that do not go", impression_id=["a", 1, 2, 3, 4])
    records = pa.Table.from_pandas(make_log(5), preserve_index=False).to_pylist()
    records[3]["hour"] = "noon"
    refuses("column 'hour' holds values that do not go together", records)


def test_columns_that_nobody_reads_may_be_anything(world, make_log):
    frame = make_log(5).assign(click=["yes", 1, None, {}, set()], browser=[1, "a", [], {}, object()])
    assert len(world.predictor().predict(frame)) == 5


def test_a_column_twice(refuses, make_log):
    frame = make_log(5)
    twice = pd.concat([frame, frame[["city"]]], axis=1)
    refuses("have the column 'city' more than once; keep one of them", twice)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    refuses("have the column 'city' more than once", table.append_column("city", table["city"]))


@pytest.mark.parametrize("rows", [{"city": "c1"}, "audience.parquet", 3, None, [1, 2], [["c1"]], np.zeros((2, 2))])
def test_rows_of_no_kind(refuses, rows):
    class Absent:
        pass

    rows = Absent() if rows is None else rows
    refuses(
        rf"rows to score are {type(rows).__name__}; give a data frame, an Arrow or Ibis table, or a list of", rows=rows
    )


def test_a_segment_of_lists(world, make_log):
    funnel = world.funnel.model_copy(update={"segment": "region"})
    predictor = world.predictor(funnel=funnel, rates=KeepRates(overall=0.3, per_segment={"a": 0.1}))
    with pytest.raises(InputError, match=r"column 'region' is .*, but the model reads it as one value a row"):
        predictor.predict(make_log(5).assign(region=[["a"]] * 5))
