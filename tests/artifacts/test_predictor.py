"""The predictor against the pipeline: the same rows, however they come, have the same probabilities."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aitm_kedro.artifacts import predictor as module
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.tables.reports import KeepRates

# ibis asks DuckDB 1.5 for batches by an old name.

STEPS = ["click", "buy"]
PER_SEGMENT = KeepRates(overall=0.3, per_segment={"north": 0.2, "south": 0.6})


def as_table(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


def assert_like(found, expected):
    np.testing.assert_allclose(found[STEPS].to_numpy(), expected[STEPS].to_numpy(), rtol=0, atol=1e-6)


def shuffled(frame):
    """Other places and other columns, without labels."""
    mixed = frame.drop(columns=STEPS)[sorted(set(frame.columns) - set(STEPS))]
    return mixed.assign(browser="x", **{"a column": 1})


class TestLikeThePipeline:
    @pytest.mark.parametrize("rates", [KeepRates(overall=0.3), PER_SEGMENT], ids=["one rate", "by segment"])
    def test_every_kind_of_model(self, every, make_log, rates):
        frame = make_log(700)
        found = every.predictor(rates=rates).predict(frame)
        assert list(found.columns) == ["impression_id", *STEPS]
        assert found["impression_id"].tolist() == frame["impression_id"].tolist()
        assert set(found[STEPS].dtypes) == {np.dtype("float32")}
        assert_like(found, every.expected(frame, rates))

    def test_ids_and_values_agree_exactly(self, world, make_log):
        frame = make_log(700).sort_values("impression_id", ignore_index=True)
        frame.loc[:20, "city"] = "never seen"
        predictor = world.predictor(rates=PER_SEGMENT)
        rows = module.prepare(as_table(frame), predictor._needs)
        found, expected = predictor._encoder.encode(rows), world.encode(frame)
        assert found.fields == expected.fields
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.segment, expected.segment)
        for name, lists in expected.lists.items():
            for part in ("offsets", "values", "weights"):
                np.testing.assert_array_equal(getattr(found.lists[name], part), getattr(lists, part))

    def test_batches_are_put_together_in_order(self, world, make_log, monkeypatch):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 64)
        frame = make_log(700)
        found = world.predictor().predict(frame)
        assert found["impression_id"].tolist() == frame["impression_id"].tolist()
        assert_like(found, world.expected(frame))

    def test_a_segment_that_is_no_feature_and_a_numeric_one(self, world, make_log):
        frame = make_log(300)
        for column, names in (("region", ["7", "8"]), ("orders", ["0", "1"])):
            rates = KeepRates(overall=0.3, per_segment=dict(zip(names, (0.1, 0.9), strict=True)))
            funnel = Funnel(steps=STEPS, main_steps=STEPS, segment=column)
            frame["region"] = np.where(np.arange(300) % 2, 7, 8)
            plain = world.predictor(rates=KeepRates(overall=1.0)).predict(frame)
            found = world.predictor(rates=rates, funnel=funnel).predict(frame)
            for name, rate in (*rates.per_segment.items(), ("2", 0.3)):
                raw = plain[frame[column].astype(str) == name]
                dropped = (1 - rate) * raw["buy"]
                expected = ((raw["click"] - dropped) / (1 - dropped)).clip(lower=0)
                np.testing.assert_allclose(found.loc[raw.index, "click"], expected, atol=1e-6)

    def test_whole_numbers_that_nulls_made_floats_name_the_same_segment(self, world, make_log):
        frame = make_log(50).assign(region=pd.Series([7, 8] * 25))
        rates = KeepRates(overall=0.3, per_segment={"7": 0.1, "8": 0.9, "(none)": 0.5})
        predictor = world.predictor(rates=rates, funnel=Funnel(steps=STEPS, main_steps=STEPS, segment="region"))
        expected = predictor.predict(frame)
        frame["region"] = frame["region"].astype(float)
        pd.testing.assert_frame_equal(predictor.predict(frame), expected)


class TestKindsOfRows:
    @pytest.fixture
    def answers(self, world, make_log):
        """Predict rows that came in some way, and compare with the same rows as they were."""

        def check(rows, frame):
            found = world.predictor(rates=PER_SEGMENT).predict(rows)
            assert_like(found, world.expected(frame, PER_SEGMENT))
            return found

        return check

    def test_data_frame(self, answers, make_log):
        answers(make_log(200).drop(columns=STEPS), make_log(200))

    def test_data_frame_with_any_index_order_and_other_columns(self, answers, make_log):
        frame = make_log(200)
        answers(shuffled(frame).set_index(pd.Index(range(200, 0, -1))), frame)

    def test_arrow(self, answers, make_log):
        answers(as_table(shuffled(make_log(200))), make_log(200))

    def test_arrow_in_several_chunks(self, answers, make_log):
        table = as_table(make_log(200))
        answers(pa.concat_tables([table.slice(0, 3), table.slice(3, 100), table.slice(103)]), make_log(200))

    def test_ibis_of_another_engine(self, answers, make_log, connection):
        table = connection.create_table("audience", as_table(shuffled(make_log(200))))
        answers(table, make_log(200))
        answers(table.filter(table["impression_id"] > 0), make_log(200))

    def test_list_of_dictionaries(self, answers, make_log):
        answers(make_log(200).astype(object).where(lambda f: f.notna(), None).to_dict("records"), make_log(200))

    def test_list_of_dictionaries_without_the_keys_of_nulls(self, answers, make_log):
        records = as_table(make_log(200)).to_pylist()
        answers([{name: value for name, value in row.items() if value is not None} for row in records], make_log(200))

    def test_categoricals(self, answers, make_log):
        frame = make_log(200)
        answers(frame.astype({"city": "category", "bank": "category", "hour": "category"}), frame)

    def test_whole_numbers_as_floats_and_nullable_ones(self, answers, make_log):
        frame = make_log(200)
        answers(frame.astype({"hour": float, "orders": float}), frame)
        answers(frame.astype({"hour": "Int64", "orders": "Int16", "member": "boolean"}), frame)

    def test_numbers_of_other_widths(self, answers, make_log):
        frame = make_log(200)
        table = as_table(frame)
        for name, kind in (
            ("orders", pa.float16()),
            ("orders", pa.decimal128(9, 2)),
            ("orders", pa.uint8()),
            ("spend", pa.decimal128(9, 1)),
            ("city", pa.large_string()),
            ("city", pa.dictionary(pa.int8(), pa.string())),
            ("tags", pa.large_list(pa.large_string())),
            ("tags", pa.list_(pa.dictionary(pa.int8(), pa.string()))),
            ("counts", pa.list_(pa.float32())),
            ("words", pa.list_(pa.uint16())),
        ):
            answers(table.set_column(table.column_names.index(name), name, _cast(table[name], kind)), frame)

    def test_text_that_means_the_same(self, answers, make_log):
        """Numbers as text, lists as JSON, text as bytes, as the log may have them too."""
        frame = make_log(200)
        raw = frame.assign(
            spend=frame["spend"].map(lambda value: None if pd.isna(value) else f" {value} "),
            tags=frame["tags"].map(lambda tags: None if tags is None else json.dumps(tags)),
            words=frame["words"].map(json.dumps),
            counts=frame["counts"].map(json.dumps),
            city=frame["city"].map(lambda city: city.encode() if isinstance(city, str) else None),
            hour=frame["hour"].map(Decimal),
        )
        answers(raw, frame)

    def test_spaces_count_unless_ingestion_trimmed_them(self, world, make_log):
        frame = make_log(200)
        spaced = frame.assign(city=frame["city"].map(lambda city: f" {city} " if isinstance(city, str) else None))
        assert_like(world.predictor(trim=True).predict(spaced), world.expected(frame))
        assert_like(world.predictor().predict(spaced), world.expected(frame.assign(city="never seen")))

    def test_lists_of_a_fixed_size(self, answers, make_log):
        frame = make_log(50)
        frame["tags"] = [["t1", "t2"]] * 50
        table = as_table(frame)
        place = table.column_names.index("tags")
        answers(table.set_column(place, "tags", table["tags"].cast(pa.list_(pa.string(), 2))), frame)

    def test_without_impression_id(self, world, make_log):
        frame = make_log(200)
        found = world.predictor().predict(frame.drop(columns="impression_id"))
        assert list(found.columns) == STEPS
        assert_like(found, world.expected(frame))

    def test_text_ids(self, answers, make_log):
        frame = make_log(200)
        frame["impression_id"] = [f"row {place:03d}" for place in frame["impression_id"] % 1000]
        found = answers(frame, frame)
        assert found["impression_id"].tolist() == frame["impression_id"].tolist()

    def test_the_same_id_twice(self, world, make_log):
        frame = make_log(100)
        twice = pd.concat([frame, frame.assign(impression_id=7)], ignore_index=True)
        found = world.predictor().predict(twice)
        assert found["impression_id"].tolist() == [*frame["impression_id"], *[7] * 100]
        assert_like(found[:100], found[100:])

    def test_one_row(self, answers, make_log):
        frame = make_log(200).head(1)
        answers(as_table(frame).to_pylist(), frame)

    @pytest.mark.parametrize("column", ["city", "hour", "member", "spend", "orders", "tags", ("words", "counts")])
    def test_nothing_known(self, answers, make_log, column):
        frame = make_log(60)
        names = [column] if isinstance(column, str) else list(column)
        records = as_table(frame).to_pylist()
        typed = frame.assign(**{name: pd.Series([None] * 60, dtype=object) for name in names})
        table = as_table(frame)
        for name in names:
            nulls = pa.nulls(60, table.schema.field(name).type)
            table = table.set_column(table.column_names.index(name), name, nulls)
        for rows in ([row | dict.fromkeys(names) for row in records], typed, table):
            answers(rows, table)

    @pytest.mark.parametrize("type_", [pa.int32(), pa.string(), pa.null()])
    def test_nulls_of_whatever_type_an_engine_gave_them(self, answers, make_log, type_):
        frame = make_log(60)
        table = as_table(frame)
        for name in ("tags", "spend"):
            place = table.column_names.index(name)
            known = table.set_column(place, name, pa.nulls(60, table.schema.field(name).type))
            answers(table.set_column(place, name, pa.nulls(60, type_)), known)

    def test_features_that_tell_nothing_of_any_row_are_named(self, world, make_log, caplog):
        frame = make_log(120)
        world.predictor().predict(frame)
        strange = frame.assign(city="elsewhere", tags=[["never seen"]] * 120, spend=np.nan)
        world.predictor().predict(strange.head(99))  # so few rows may well be so
        assert "tell nothing there" not in caplog.text
        world.predictor().predict(strange)
        assert (
            "tell nothing there: 'city' in 120 (100.0 %), 'spend' in 120 (100.0 %) and 'tags' in 120 (100.0 %); check"
            in caplog.text
        )

    @pytest.mark.parametrize(("strange", "warns"), [(60, True), (30, False)])
    def test_features_that_tell_nothing_of_far_more_rows_than_of_validation(
        self, world, make_log, caplog, strange, warns
    ):
        frame = make_log(200).assign(city=["elsewhere"] * strange + ["c0"] * (200 - strange))
        shares = dict.fromkeys(("city", "bank", "hour", "member", "spend", "orders", "tags", "words"), 0.04)
        world.predictor(unknown_shares=shares | {"tags": 0.3, "words": 0.3}).predict(frame)
        assert ("tell nothing there: 'city' in 60 (30.0 %; validation 4.0 %); check" in caplog.text) == warns
        assert ("tell nothing there" in caplog.text) == warns

    def test_lists_with_nothing_or_with_what_is_not_known(self, answers, make_log):
        frame = make_log(6)
        frame["tags"] = [[], None, ["never seen"], [None, "t1"], ["t1", "never seen"], ["t1", "t1"]]
        frame["words"] = [[], None, [77], [1, 77], [1], [2, 2]]
        frame["counts"] = [[], None, [0.5], [0.0, 0.0], [3.0], [1.0, 9.0]]
        answers(frame, frame)
        answers(as_table(frame).to_pylist(), frame)
        answers(as_table(frame).to_pylist()[:1], as_table(frame).slice(0, 1))  # every list is empty

    def test_no_rows(self, world, make_log, connection):
        frame = make_log(10).head(0)
        typed = as_table(make_log(10)).slice(0, 0)
        for rows in (frame, typed, typed.schema.empty_table(), connection.create_table("nothing", typed)):
            found = world.predictor(rates=PER_SEGMENT).predict(rows)
            assert list(found.columns) == ["impression_id", *STEPS]
            assert len(found) == 0
        assert list(world.predictor().predict([]).columns) == STEPS

    def test_a_feature_that_was_constant_in_train_may_be_missing(self, answers, make_log):
        answers(make_log(50).drop(columns="same"), make_log(50))


class TestRawNames:
    RENAME: ClassVar = {
        "city": "CITY",
        "words": "WORDS",
        "click": "CLK",
        "impression_id": "ID",
        "bank": "hour",
        "hour": "hr",
    }

    @pytest.fixture
    def predictor(self, world):
        return world.predictor(rename=self.RENAME, rates=PER_SEGMENT)

    def test_rows_under_raw_names(self, world, predictor, make_log, connection):
        frame = make_log(80)
        raw = frame.rename(columns=self.RENAME)
        expected = world.expected(frame, PER_SEGMENT)
        for rows in (raw, as_table(raw), connection.create_table("raw", as_table(raw)), as_table(raw).to_pylist()):
            found = predictor.predict(rows)
            assert found["impression_id"].tolist() == frame["impression_id"].tolist()
            assert_like(found, expected)

    def test_rows_under_the_names_of_the_project(self, world, predictor, make_log):
        assert_like(predictor.predict(make_log(80)), world.expected(make_log(80), PER_SEGMENT))

    def test_some_of_each(self, world, make_log):
        predictor = world.predictor(rename={"city": "CITY", "bank": "BANK"})
        frame = make_log(80)
        mixed = frame.rename(columns={"bank": "BANK"}).assign(CITY="of no account")
        assert_like(predictor.predict(mixed), world.expected(frame))

    def test_what_is_missing_goes_by_both_names(self, predictor, make_log):
        raw = make_log(5).rename(columns=self.RENAME).drop(columns="CITY")
        with pytest.raises(InputError, match=r"no column 'city' \(or 'CITY'\)"):
            predictor.predict(raw)


class TestSegments:
    """Rows whose segment train has not seen take the rate of all rows together, and one warning a call counts them."""

    @pytest.fixture
    def frame(self, make_log):
        frame = make_log(300)
        frame.loc[:9, "bank"] = None
        frame.loc[10:14, "bank"] = "west"
        return frame

    def test_are_counted_once_for_the_whole_call(self, world, frame, caplog, monkeypatch):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 4)
        with caplog.at_level(logging.WARNING):
            found = world.predictor(rates=PER_SEGMENT).predict(frame)
        assert [record.getMessage() for record in caplog.records] == [
            "Of 300 rows, 15 with a 'bank' that train has not seen ((none), west) are corrected by the keep rate of "
            "all rows together."
        ]
        assert_like(found, world.expected(frame, PER_SEGMENT))
        assert_like(found[:15], world.expected(frame, KeepRates(overall=0.3))[:15])

    def test_are_named_a_few_at_a_time(self, world, make_log, caplog):
        frame = make_log(30).assign(bank=[f"b{place:02d}" for place in range(30)])
        world.predictor(rates=PER_SEGMENT).predict(frame)
        assert "(b00, b01, b02, b03, b04, ...)" in caplog.text

    def test_null_keeps_its_own_rate_if_train_had_it(self, world, frame, caplog):
        rates = KeepRates(overall=0.3, per_segment={"north": 0.2, "south": 0.6, "(none)": 0.9})
        found = world.predictor(rates=rates).predict(frame)
        assert "Of 300 rows, 5 with a 'bank' that train has not seen (west)" in caplog.text
        assert_like(found, world.expected(frame, rates))

    def test_nan_is_null(self, world, frame, caplog):
        """In an Arrow table, which tells them apart."""
        codes = pa.array([float("nan"), 7.0] * 5)
        table = as_table(frame.head(10)).append_column("region", codes)
        funnel = Funnel(steps=STEPS, main_steps=STEPS, segment="region")
        rates = KeepRates(overall=0.3, per_segment={"7": 0.2, "(none)": 0.9})
        world.predictor(rates=rates, funnel=funnel).predict(table)
        assert not caplog.records

    def test_are_no_matter_with_one_rate_for_all(self, world, frame, caplog):
        world.predictor().predict(frame)
        assert not caplog.records

    def test_is_needed_for_its_rates_alone(self, world, make_log):
        funnel = Funnel(steps=STEPS, main_steps=STEPS, segment="region")
        world.predictor(funnel=funnel).predict(make_log(5))
        with pytest.raises(InputError, match=r"no column 'region' \('region' decides how predictions are corrected\)"):
            world.predictor(funnel=funnel, rates=PER_SEGMENT).predict(make_log(5))


def test_streams_batches_when_they_are_asked_for(world, make_log, monkeypatch, connection):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 2048)
    table = connection.create_table("audience", as_table(make_log(5000)))
    reader = world.predictor().stream(table)
    assert reader.schema.names == ["impression_id", *STEPS]
    assert [batch.num_rows for batch in reader] == [2048, 2048, 904]


def test_a_value_that_is_wrong_ends_a_stream_in_a_sentence(world, make_log, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 100)
    frame = make_log(300)
    frame.loc[250, "spend"] = np.inf
    with pytest.raises(InputError, match=r"'spend' must hold numbers .* for example inf"):
        world.predictor().stream(as_table(frame)).read_all()


def test_threads_share_a_predictor(every, make_log):
    predictor = every.predictor()
    frames = [make_log(50 + 10 * seed, seed=seed) for seed in range(8)]
    frames[3] = frames[3].astype({"hour": float})  # another schema
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(predictor.predict, frames))
    for frame, found in zip(frames, answers, strict=True):
        assert found["impression_id"].tolist() == frame["impression_id"].tolist()
        assert_like(found, every.expected(frame.astype({"hour": int})))


def test_rows_of_the_same_types_are_encoded_by_the_same_query(world, make_log, monkeypatch):
    predictor = world.predictor()
    predictor.predict(make_log(20))
    monkeypatch.setattr("aitm_kedro.artifacts.encoder.encode_rows", None)
    predictor.predict(make_log(30, seed=4))


def _cast(column, kind):
    """As ``cast``, and where Arrow has no cast, built anew."""
    if pa.types.is_list(kind) and pa.types.is_dictionary(kind.value_type):
        column = column.combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        values = column.values.dictionary_encode().cast(kind.value_type)
        return pa.ListArray.from_arrays(column.offsets, values, mask=column.is_null())
    if pa.types.is_decimal(kind):
        return pa.array([None if v is None else Decimal(str(v)) for v in column.to_pylist()], kind)
    if pa.types.is_float16(kind):
        return pa.array(column.to_numpy().astype(np.float16))
    if pa.types.is_dictionary(kind):
        return column.dictionary_encode().cast(kind)
    return column.cast(kind)
