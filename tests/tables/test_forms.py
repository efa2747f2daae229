"""Labels, lists, numbers and categories as people have them: what is read, and what ends in a sentence."""

import logging
from datetime import date, datetime
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from pydantic import ValidationError

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.ingestion.nodes import ingest_impressions
from aitm_kedro.tables.forms import read_features, require_features
from aitm_kedro.tables.label_values import require_label
from aitm_kedro.tables.parameters import Ingestion, LabelValues, Split, TimeForm
from aitm_kedro.tables.requirements import measure
from aitm_kedro.tables.times import decide, examine
from aitm_kedro.tables.values import as_category

FUNNEL = Funnel(steps=("click",), main_steps=("click",))
OTHER = Features(numeric=("x",))


@pytest.fixture
def ingest(con):
    """The impressions and the report of a table with these columns; ids, labels and a feature come from here."""

    def run(features=OTHER, *, ingestion=None, funnel=FUNNEL, **columns):
        rows = len(next(iter(columns.values())))
        given = {"impression_id": range(rows), "click": [0] * rows, "x": [1.0] * rows} | columns
        table = con.create_table(ibis.util.gen_name("forms"), pa.table(given))
        found, _, report = ingest_impressions(
            table, {}, funnel, features, Split(), Ingestion.model_validate(ingestion or {})
        )
        return found.order_by("impression_id").to_pyarrow(), report

    return run


class TestLabels:
    @pytest.mark.parametrize(
        "labels",
        [
            pa.array([1, 0, None], pa.int64()),
            pa.array([1, 0, float("nan")]),
            pa.array([Decimal(1), Decimal(0), None], pa.decimal128(3, 1)),
            pa.array([True, False, None]),
            pa.array(["1", "0", ""]),
            pa.array(["1.0", "0.0", None]),
            pa.array([" Yes", "NO ", "  "]),
            pa.array(["true", "False", None]),
            pa.array(["T", "f", None]),
            pa.array(["y", "N", None]),
        ],
        ids=str,
    )
    def test_usual_spellings(self, ingest, labels):
        found, report = ingest(click=labels)
        assert found["click"].to_pylist() == [1, 0]
        assert found["click"].type == pa.int8()
        assert report.rows_aside.immature == 1

    @pytest.mark.parametrize(
        ("labels", "positive", "negative"),
        [
            (["won", "LOST ", None], ["Won"], ["lost"]),
            (["a", "c", ""], ["a", "b"], ["c"]),
            ([2, 1, None], [2], [1]),
            ([2.0, 1.0, None], [2], [1]),
            ([2, 1, None], [2.0], [1.0]),
            ([True, False, None], [True], [False]),
            (["yes", "no", None], [True], [False]),  # as YAML reads [yes] and [no]
            ([b"won", b"lost", None], ["won"], ["lost"]),
        ],
        ids=str,
    )
    def test_spellings_by_option(self, ingest, labels, positive, negative):
        values = {"positive": positive, "negative": negative}
        if isinstance(labels[0], bytes):
            labels = [label and label.decode() for label in labels]
        found, report = ingest(click=labels, ingestion={"label_values": values})
        assert found["click"].to_pylist() == [1, 0]
        assert report.rows_aside.immature == 1

    @pytest.mark.parametrize(
        ("labels", "ingestion", "sentence"),
        [
            ([0, 2, 2], {}, "'click' must hold 0, 1 or null, but 2 rows hold something else, for example 2; say by"),
            ([0.5], {}, "1 row holds something else, for example 0.5; say by ingestion.label_values: {positive"),
            (["yes", "perhaps"], {}, r"yes, y \(positive\) or 0, .* \(negative\), or null, but 1 row .* perhaps"),
            (["won", "yes"], {"label_values": {"positive": ["won"], "negative": ["lost"]}},
             r"must hold one of won \(positive\) or lost \(negative\), or null, but 1 row .* for example yes"),
            ([datetime(2026, 8, 31)], {}, r"is timestamp\(6\); it must hold 0, 1 or null \(a time is read from"),
            ([[1]], {}, "label column 'click' is array<int64>"),
        ],
        ids=str,
    )  # fmt: skip
    def test_others_end_in_a_sentence(self, ingest, labels, ingestion, sentence):
        with pytest.raises(InputError, match=sentence):
            ingest(click=labels, ingestion=ingestion)

    def test_a_spelling_means_one_thing(self):
        with pytest.raises(ValidationError, match=r"label_values has \['won'\] among positive and negative"):
            LabelValues(positive=("won", "paid"), negative=("Won", "lost"))

    @pytest.mark.parametrize("blank", [None, "", " "])
    def test_null_and_blank_are_not_known_whatever_the_option_says(self, blank):
        with pytest.raises(ValidationError, match="label_values cannot say what null and blank mean"):
            LabelValues(positive=("won",), negative=("lost", blank))


class TestNumbers:
    def test_text_that_holds_numbers(self, ingest):
        found, report = ingest(x=["3.5", " -1e3 ", "", None, "nan", "7"])
        assert found["x"].to_pylist() == [3.5, -1000, None, None, None, 7]
        assert report.read_as == {"x": "string as float64"}

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ([1.0, -1e300], r"'x' must hold numbers from -3.4e\+38 to 3.4e\+38, or null, but 1 row .* -1e\+?300; mend"),
            ([1.0, float("inf"), float("nan")], "but 1 row holds something else, for example inf; mend those rows, or"),
            (pa.array([1.0, float("-inf")], pa.float32()), "for example -inf"),
            (["1", "1e300", "1e300"], "2 rows hold something else, for example 1e300"),
            (["1", "inf"], "for example inf"),
            (
                ["1", "3,5"],
                "for example 3,5; mend those rows, or make them null; if it is text, 'x' belongs under featu",
            ),
            ([date(2026, 8, 31)], "features.numeric names 'x', which is date; list it under features.categorical"),
        ],
        ids=str,
    )
    def test_what_no_model_can_read_ends_in_a_sentence(self, ingest, values, sentence):
        with pytest.raises(InputError, match=sentence):
            ingest(x=values)

    def test_numbers_of_any_size_in_columns_that_nobody_names(self, ingest):
        assert ingest(x=[1.0, 2.0], y=[1e300, float("inf")])[0].column_names == ["impression_id", "click", "x"]

    def test_row_weights_as_text(self, ingest):
        funnel = FUNNEL.model_copy(update={"row_weight": "w"})
        assert ingest(w=["1.5", "2"], funnel=funnel)[0]["w"].to_pylist() == [1.5, 2]
        with pytest.raises(InputError, match=r"'w' must hold numbers from 0 to .*, but 1 row holds .* example much"):
            ingest(w=["1.5", "much"], funnel=funnel)


class TestCategories:
    @pytest.mark.parametrize(
        ("values", "texts"),
        [
            (pa.array([1, None, 2]), ["1", None, "2"]),
            (pa.array([1.0, None, 2.5, float("nan")]), ["1", None, "2.5", None]),
            (pa.array([Decimal("1.00"), Decimal("2.50"), Decimal("100.00"), Decimal("0.00"), None]),
             ["1", "2.5", "100", "0", None]),
            (pa.array([Decimal(100), Decimal(7)], pa.decimal128(9, 0)), ["100", "7"]),
            (pa.array([True, False, None]), ["true", "false", None]),
            (pa.array([b"abc", "grün".encode(), b"\xff\x00", b"", None]), ["abc", "grün", "ff00", "", None]),
            (pa.array([date(2026, 8, 31), None]), ["2026-08-31", None]),
            (pa.array([datetime(2026, 8, 31, 13, 5)]), ["2026-08-31 13:05:00"]),
            (pa.array([datetime(2026, 8, 31, 13, 5)], pa.timestamp("us", "Europe/Berlin")), ["2026-08-31 13:05:00"]),
            (pa.array([0.1, 2.0, 1e30, None], pa.float32()), ["0.1", "2", "1e+30", None]),
            (pa.array([" a ", "a", "", "007", None]), [" a ", "a", "", "007", None]),
        ],
        ids=str,
    )  # fmt: skip
    def test_values_of_every_type_as_text(self, con, values, texts):
        column = con.create_table("c", pa.table({"c": values, "place": range(len(values))})).order_by("place")["c"]
        assert as_category(column).to_pyarrow().to_pylist() == texts

    def test_bytes_become_text(self, ingest):
        found, report = ingest(Features(categorical=("c",)), c=[b"abc", b"\xff"])
        assert found["c"].to_pylist() == ["abc", "ff"]
        assert report.read_as == {"c": "binary as string"}

    def test_spaces_count_unless_they_are_trimmed(self, ingest):
        features = Features(categorical=("c", "bank"), lists=("tags",))
        columns = {"c": [" a", "a", " "], "bank": ["n ", "n", "n"], "tags": [[" a", "a ", ""], [], None]}
        funnel = FUNNEL.model_copy(update={"segment": "bank"})
        found, _ = ingest(features, funnel=funnel, **columns)
        assert found.select(list(columns)).to_pydict() == columns
        found, _ = ingest(features, funnel=funnel, ingestion={"trim": True}, **columns)
        assert found["c"].to_pylist() == ["a", "a", None]
        assert found["bank"].to_pylist() == ["n", "n", "n"]
        assert found["tags"].to_pylist() == [["a", "a", None], [], None]

    def test_very_long_text(self, ingest):
        long = "ä" * 1_000_000
        assert ingest(Features(categorical=("c",)), c=[long, "b"])[0]["c"].to_pylist() == [long, "b"]
        with pytest.raises(InputError) as caught:
            ingest(x=[long, "1"])
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        (pa.array([7, 8], pa.uint16()), [7, 8]),
        (pa.array([Decimal(7), Decimal(10**30)], pa.decimal128(38, 0)), ["7", str(10**30)]),
        (["a", " a"], ["a", " a"]),
    ],
    ids=str,
)
def test_ids_of_impressions(ingest, ids, kept):
    assert sorted(ingest(impression_id=ids, x=[1.0, 2.0])[0]["impression_id"].to_pylist()) == sorted(kept)


class TestLists:
    BARE = Features(lists=("tags",))
    BAR = Features(lists=({"name": "tags", "separator": "|"},))
    WEIGHED = Features(lists=({"name": "tags", "weights": "w", "separator": "|"},))

    @pytest.mark.parametrize(
        ("text", "values"),
        [
            ('["a","b"]', ["a", "b"]),
            (' [ "a|b", "grün", "\\u00e4 \\"c\\"" ] ', ["a|b", "grün", 'ä "c"']),
            ("[1, 2.0, 2.5, -3, true, null]", ["1", "2", "2.5", "-3", "true", None]),
            ('["1.0", ""]', ["1.0", ""]),
            ("[]", []),
            ("", None),
            ("  ", None),
            (None, None),
        ],
    )
    def test_json(self, ingest, text, values):
        found, report = ingest(self.BARE, tags=pa.array([text, '["z"]']))
        assert found["tags"].to_pylist() == [values, ["z"]]
        assert report.read_as == {"tags": "string as array<string>"}

    @pytest.mark.parametrize(
        ("text", "values"),
        [
            ("a|b", ["a", "b"]),
            (" a | b c |", ["a", "b c"]),
            ("a||b", ["a", "b"]),
            ("a", ["a"]),
            ("a,b", ["a,b"]),
            ("", None),
            ("|", []),
            (None, None),
        ],
    )
    def test_separator(self, ingest, text, values):
        assert ingest(self.BAR, tags=pa.array([text, "z"]))[0]["tags"].to_pylist() == [values, ["z"]]

    @pytest.mark.parametrize("separator", [".", "*", "; ", "\\", "||"])
    def test_a_separator_is_no_pattern(self, ingest, separator):
        features = Features(lists=({"name": "tags", "separator": separator},))
        assert ingest(features, tags=[f"a{separator}b"])[0]["tags"].to_pylist() == [["a", "b"]]

    def test_weights_in_the_same_forms(self, ingest):
        found, _ = ingest(self.WEIGHED, tags=["a|b", "", "c"], w=["1|0.5", "", "2"])
        assert found["w"].to_pylist() == [[1, 0.5], None, [2]]
        features = Features(lists=({"name": "tags", "weights": "w"},))
        found, _ = ingest(features, tags=['["a", "b"]', "[]", None], w=["[1, 0.5]", "[]", ""])
        assert found["w"].to_pylist() == [[1, 0.5], [], None]
        found, _ = ingest(features, tags=[["a", "b"], []], w=["[1, 0.5]", "[]"])
        assert found["w"].to_pylist() == [[1, 0.5], []]

    @pytest.mark.parametrize(
        ("features", "columns", "sentence"),
        [
            (BARE, {"tags": ["a|b", "[]"]}, r"'tags' must hold lists in JSON, such as \[\"a\", \"b\"\], or null, but"),
            (BARE, {"tags": ["a|b"]}, r"name it: features.lists: \[\{name: tags, separator: '|'\}\]"),
            (BARE, {"tags": ['{"a": 1}']}, r"something else, for example \{\"a\": 1\}"),
            (BARE, {"tags": ['["a"', "7"]}, "2 rows hold something else"),
            (BAR, {"tags": ['["a", "b"]', "a|b"]}, r"values with '\|' between them.*that is JSON: take the separator"),
            (BARE, {"tags": [1, 2]}, "features.lists names 'tags', which is int64; list it under features.categorical"),
            (WEIGHED, {"tags": ["a|b", "c"], "w": ["1", "2"]},
             r"'w' must hold one weight for each value of 'tags', but 1 row holds .* example \[1.0\] for 2 values"),
            (WEIGHED, {"tags": ["a|b", "c"], "w": ["1|much", "2"]}, "'w' must hold weights from 0 to .* 1.0, null"),
            (WEIGHED, {"tags": ["a|b", "c"], "w": ["1|2", "-2"]}, "'w' must hold weights from 0 to .* example -2.0"),
        ],
        ids=str,
    )  # fmt: skip
    def test_others_end_in_a_sentence(self, ingest, features, columns, sentence):
        with pytest.raises(InputError, match=sentence):
            ingest(features, **columns)


class TestEmptyTablesAndNames:
    def test_a_table_without_rows(self, ingest):
        with pytest.raises(
            InputError, match="raw_impressions is empty: it has the columns impression_id, click, x, but"
        ):
            ingest(impression_id=pa.array([], pa.int64()), click=pa.array([], pa.int8()), x=pa.array([], pa.float64()))

    def test_an_empty_csv_file(self, con, tmp_path):
        (tmp_path / "empty.csv").touch()
        with pytest.raises(InputError, match="raw_impressions is empty"):
            ingest_impressions(con.read_csv(tmp_path / "empty.csv"), {}, FUNNEL, OTHER, Split(), Ingestion())

    @pytest.mark.parametrize("name", ["Spend", " spend", "spend\t", "\ufeffspend", "\u00a0SPEND "])
    def test_names_that_look_alike(self, ingest, name):
        with pytest.raises(InputError, match=rf"no column 'spend' .*; did you mean '{name}' for 'spend'\?"):
            ingest(Features(numeric=("spend",)), **{name: [1.0]})

    def test_the_same_name_twice(self, con, tmp_path, caplog):
        caplog.set_level(logging.WARNING)
        (tmp_path / "twice.csv").write_text("impression_id,click,x,x\n1,0,2.5,3.5\n2,1,2.5,3.5\n")
        found, _, _ = ingest_impressions(con.read_csv(tmp_path / "twice.csv"), {}, FUNNEL, OTHER, Split(), Ingestion())
        assert found["x"].to_pyarrow().to_pylist() == [2.5, 2.5]
        assert [record.getMessage() for record in caplog.records] == [
            "raw_impressions has the columns 'x' and 'x_1': if its file names 'x' twice (or once in other case), the "
            "engine has renamed the second one, and the first one is read; name each column once."
        ]


def test_every_form_compiles_for_spark(con, monkeypatch):
    """By the functions of Spark, where DuckDB has others."""

    class Options(ibis.config.Config):
        treat_nan_as_null: bool = False

    monkeypatch.setattr(ibis.options, "pyspark", Options())
    monkeypatch.setattr("aitm_kedro.tables.dialects._is_duckdb", lambda column: False)
    rows = {"iso": ["2026-08-31"], "epoch": [1788181500], "click": ["yes"], "tags": ["a|b"], "w": ["1|2"]}
    rows |= {"words": ['["a"]'], "c": [b"a"], "x": ["1.5"], "d": [Decimal("1.5")], "t": [" a"]}
    features = Features(
        categorical=("c", "d", "t"),
        numeric=("x",),
        lists=({"name": "tags", "weights": "w", "separator": "|"}, "words"),
    )
    table = con.create_table("forms", pa.table(rows))
    asked = list(read_features(table, features, trim=True).values())
    asked += measure([*require_features(table, features), require_label("click", table["click"], None)]).values()
    asked += [as_category(table[name]) for name in ("c", "d")]
    for form in (TimeForm(), TimeForm(format="%d.%m.%Y")):
        asked += [value for name in ("iso", "epoch") for value in examine(table[name], form).values()]
    known = {"known": 1, "strange": 0, "numbers": 0, "least": 1788181500, "most": 1788181500, "example": None}
    moments = {"first": None, "last": None}
    asked += [decide(name, table[name], TimeForm(), known | moments).column for name in ("iso", "epoch")]
    for expression in asked:
        assert "SELECT" in ibis.to_sql(expression, dialect="pyspark")
