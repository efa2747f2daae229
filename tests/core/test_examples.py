"""Encoded examples: laid out as arrays, opened again, and looked at in parts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from aitm_kedro.core import example_store as module
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.example_store import examples_of, open_arrays, read_fingerprints, write_arrays
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.ragged import Ragged


def make_table(rows: int = 100, *, seed: int = 0, text_ids: bool = False, segments: bool = True) -> pa.Table:
    """As ``encode_examples`` makes it: two steps, a category, numbers with nulls, lists with and without weights."""
    draw = np.random.default_rng(seed)
    numbers = draw.permutation(rows) + 10**12
    lengths = draw.integers(1, 4, (2, rows))
    ids = [[draw.integers(7, size=length).tolist() for length in part] for part in lengths]
    columns = {
        "impression_id": pa.array([f"i{number}" for number in numbers] if text_ids else numbers),
        "_segment": pa.array(draw.choice(["north", "south"], rows)),
        "click": pa.array(draw.integers(2, size=rows), pa.int8()),
        "buy": pa.array(draw.integers(2, size=rows), pa.int8()),
        "city": pa.array(draw.integers(9, size=rows), pa.int32()),
        "age": pa.array(draw.integers(5, size=rows), pa.int32()),
        "hour": pa.array(draw.integers(3, size=rows), pa.int32()),
        "tags": pa.array(ids[0], pa.list_(pa.int32())),
        "shops": pa.array(ids[1], pa.list_(pa.int32())),
        "_value_age": pa.array(draw.random(rows), pa.float32(), mask=draw.random(rows) < 0.2),
        "_value_hour": pa.array(draw.random(rows), pa.float32(), mask=draw.random(rows) < 0.1),
        "_row_weight": pa.array(draw.random(rows), pa.float32()),
        "_weights_tags": pa.array([draw.random(length).tolist() for length in lengths[0]], pa.list_(pa.float32())),
    }
    return pa.table(columns if segments else {name: part for name, part in columns.items() if name != "_segment"})


FIELDS = ("city", "age", "hour")


def as_lists(lists: Ragged) -> list[list[int]]:
    return [lists.values[start:stop].tolist() for start, stop in zip(lists.offsets, lists.offsets[1:], strict=False)]


def assert_holds(examples: Examples, table: pa.Table) -> None:
    """Row for row what the table says."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    assert len(examples) == len(table)
    assert examples.fields == ("city", "age", "hour", "tags", "shops")
    assert examples.single_fields == ("city", "age", "hour")
    assert examples.steps == ("click", "buy")
    assert examples.ids.tolist() == [list(row) for row in zip(*(columns[name] for name in FIELDS), strict=True)]
    assert examples.labels.tolist() == [list(row) for row in zip(columns["click"], columns["buy"], strict=True)]
    assert [array.dtype for array in (examples.ids, examples.labels)] == [np.int32, np.uint8]
    assert examples.impression_id.tolist() == columns["impression_id"]
    assert (examples.segment is None) == ("_segment" not in columns)
    if examples.segment is not None:
        assert examples.segment.tolist() == columns["_segment"]
    assert examples.numeric == ("age", "hour")
    assert (examples.values.shape, examples.values.dtype) == ((len(table), 2), np.float32)
    assert examples.values.flags["C_CONTIGUOUS"]
    for place, name in enumerate(examples.numeric):
        numbers = [np.nan if value is None else value for value in columns[f"_value_{name}"]]
        np.testing.assert_array_equal(examples.values[:, place], np.array(numbers, np.float32))
    assert examples.row_weights.tolist() == columns["_row_weight"]
    assert examples.row_weights.dtype == np.float32
    assert list(examples.lists) == ["tags", "shops"]
    for name, lists in examples.lists.items():
        assert as_lists(lists) == columns[name]
        assert lists.values.dtype == np.int32
    assert as_lists(replace(examples.lists["tags"], values=examples.lists["tags"].weights)) == columns["_weights_tags"]
    assert examples.lists["shops"].weights is None


@pytest.mark.parametrize("text_ids", [False, True])
@pytest.mark.parametrize("segments", [True, False])
@pytest.mark.parametrize("rows_at_once", [7, 131_072])
def test_what_is_written_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text_ids: bool, segments: bool, rows_at_once: int
) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", rows_at_once)
    table = make_table(text_ids=text_ids, segments=segments)
    pq.write_table(table, tmp_path / "table", row_group_size=30)
    write_arrays(ds.dataset(tmp_path / "table"), tmp_path / "arrays")
    opened = open_arrays(tmp_path / "arrays")
    assert_holds(opened, table)
    assert_holds(examples_of(table), table)
    assert examples_of(table).fingerprint() == opened.fingerprint()


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_table_in_memory_is_what_it_is_on_the_disk(as_examples: Callable, chunks: int) -> None:
    tables = [make_table(40, seed=seed) for seed in range(chunks)]
    table = pa.concat_tables(tables)
    examples = examples_of(table)
    assert_holds(examples, table)
    assert examples.fingerprint() == as_examples(table).fingerprint()
    assert_holds(examples_of(table.slice(13, 20)), table.slice(13, 20))
    assert_holds(examples_of(table.slice(0, 0)), table.slice(0, 0))


def test_a_table_in_memory_may_lack_labels_weights_and_everything_else() -> None:
    table = make_table().select(["impression_id", "city", "tags"])
    examples = examples_of(table)
    assert (examples.steps, examples.labels.shape, examples.row_weights) == ((), (100, 0), None)
    assert (examples.fields, examples.numeric, examples.values.shape) == (("city", "tags"), (), (100, 0))
    assert (examples.segment, examples.lists["tags"].weights) == (None, None)
    assert examples_of(table.select(["impression_id"])).ids.shape == (100, 0)


def test_the_files_are_arrays_that_numpy_reads(tmp_path: Path) -> None:
    table = make_table()
    write_arrays(ds.dataset(table), tmp_path / "arrays")
    shapes = {path.name: np.load(path).shape for path in (tmp_path / "arrays").glob("*.npy")}
    assert shapes == {
        "impression_id.npy": (100,),
        "ids.npy": (100, 3),
        "labels.npy": (100, 2),
        "values.npy": (100, 2),
        "row_weights.npy": (100,),
        "list0_offsets.npy": (101,),
        "list1_offsets.npy": (101,),
    }


def test_a_table_without_rows(as_examples: Callable) -> None:
    examples = as_examples(make_table().slice(0, 0))
    assert_holds(examples, make_table().slice(0, 0))
    assert len(examples.take(np.arange(0))) == 0
    assert examples.fingerprint() == as_examples(make_table(seed=1).slice(0, 0)).fingerprint()


def test_a_table_without_fields(as_examples: Callable) -> None:
    examples = as_examples(make_table().select(["impression_id", "click"]))
    assert (examples.ids.shape, examples.fields, examples.steps) == ((100, 0), (), ("click",))
    assert (examples.numeric, examples.values.shape) == ((), (100, 0))
    assert (examples.lists, examples.segment, examples.row_weights) == ({}, None, None)


def test_a_table_of_lists_alone(as_examples: Callable) -> None:
    table = make_table()
    examples = as_examples(table.select(["impression_id", "click", "shops"]))
    assert (examples.ids.shape, examples.fields, len(examples)) == ((100, 0), ("shops",), 100)
    assert as_lists(examples.lists["shops"]) == table["shops"].to_pylist()


def test_opened_arrays_are_on_the_disk_and_changing_them_leaves_it_alone(tmp_path: Path) -> None:
    write_arrays(ds.dataset(make_table()), tmp_path / "arrays")
    before = {path.name: path.read_bytes() for path in (tmp_path / "arrays").iterdir()}
    examples = open_arrays(tmp_path / "arrays")
    arrays = [examples.ids, examples.labels, examples.values, examples.row_weights]
    arrays += [part for lists in examples.lists.values() for part in (lists.offsets, lists.values)]
    for array in (*arrays, examples.lists["tags"].weights):
        assert isinstance(array, np.memmap)
        assert array.flags["C_CONTIGUOUS"]
        array[:] = 1
        array.flush()
    assert {path.name: path.read_bytes() for path in (tmp_path / "arrays").iterdir()} == before
    assert_holds(open_arrays(tmp_path / "arrays"), make_table())


def test_a_disk_without_room_is_an_error_and_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_arrays(ds.dataset(make_table()), tmp_path / "arrays")


def test_some_fields_in_any_order(as_examples: Callable) -> None:
    table = make_table()
    examples = as_examples(table)
    assert examples.of_fields(examples.fields) is examples
    some = examples.of_fields(("age", "city", "shops"))
    assert (some.fields, some.single_fields, list(some.lists)) == (("age", "city", "shops"), ("age", "city"), ["shops"])
    np.testing.assert_array_equal(some.ids, examples.ids[:, [1, 0]])
    assert some.ids.flags["C_CONTIGUOUS"]
    assert some.numeric == ("age",)
    np.testing.assert_array_equal(some.values, examples.values[:, :1])
    assert some.values.flags["C_CONTIGUOUS"]
    assert some.row_weights is examples.row_weights
    city = some.of_fields(("city",))
    assert (city.numeric, city.values.shape, city.lists) == ((), (100, 0), {})
    turned = examples.of_fields(("hour", "city", "age"))
    assert (turned.numeric, turned.lists) == (("hour", "age"), {})
    np.testing.assert_array_equal(turned.values, examples.values[:, ::-1])
    np.testing.assert_array_equal(turned.ids, examples.ids[:, [2, 0, 1]])
    swapped = examples.of_fields(("city", "shops", "tags"))
    assert [as_lists(lists) for lists in swapped.lists.values()] == [table[name].to_pylist() for name in swapped.lists]
    assert list(swapped.lists) == ["shops", "tags"]


def test_without_values_bins_are_left(as_examples: Callable) -> None:
    examples = as_examples(make_table())
    bare = examples.without_values()
    assert (bare.numeric, bare.values.shape, bare.values.dtype) == ((), (100, 0), np.float32)
    assert (bare.fields, bare.ids, bare.labels) == (examples.fields, examples.ids, examples.labels)
    assert bare.row_weights is examples.row_weights
    assert bare.take(np.arange(3)).of_fields(("age",)).values.shape == (3, 0)
    assert bare.fingerprint() != examples.fingerprint()


def test_a_list_before_a_field_with_one_id_is_no_order(as_examples: Callable) -> None:
    examples = as_examples(make_table())
    for fields in (("tags", "city"), ("city", "tags", "age", "hour", "shops")):
        with pytest.raises(
            InputError, match=r"Features with lists come last, but the order asked for is \['\w+', '\w+"
        ):
            examples.of_fields(fields)


@pytest.mark.parametrize("name", ["list0_values", "list0_weights", "list1_values"])
@pytest.mark.parametrize("change", [lambda part: part[:-4], lambda part: part + part[:4], lambda part: b""])
def test_lists_of_another_size_than_was_written_are_an_error(tmp_path: Path, name: str, change: Callable) -> None:
    write_arrays(ds.dataset(make_table()), tmp_path / "arrays")
    path = tmp_path / "arrays" / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"'{name}' does not have the size of \d+ numbers"):
        open_arrays(tmp_path / "arrays")


def test_some_steps_in_any_order(as_examples: Callable) -> None:
    examples = as_examples(make_table())
    assert examples.of_steps(["click", "buy"]) is examples
    turned = examples.of_steps(("buy", "click"))
    assert turned.steps == ("buy", "click")
    np.testing.assert_array_equal(turned.labels, examples.labels[:, ::-1])
    assert examples.of_steps(["buy"]).labels.shape == (100, 1)


def test_fields_and_steps_that_are_not_there_are_named(as_examples: Callable) -> None:
    examples = as_examples(make_table())
    with pytest.raises(InputError, match=r"no column \['income', 'brands'\]: they were made for other steps or fe"):
        examples.of_fields(("city", "income", "brands"))
    with pytest.raises(InputError, match=r"no column \['pay'\].* Run preparation and modelling again"):
        examples.of_steps(["click", "pay"])


@pytest.mark.parametrize("segments", [True, False])
def test_some_rows_in_any_order(as_examples: Callable, segments: bool) -> None:
    table = make_table(segments=segments)
    rows = np.array([5, 99, 5, 0])
    assert_holds(as_examples(table).take(rows), table.take(rows))


def test_the_fingerprint_is_of_rows_order_names_ids_labels_values_segments_weights_and_lists(
    as_examples: Callable,
) -> None:
    examples = as_examples(make_table())
    tags = examples.lists["tags"]

    def with_tags(**changes: np.ndarray | None) -> Examples:
        return replace(examples, lists=dict(examples.lists) | {"tags": replace(tags, **changes)})

    other_labels, moved = examples.labels.copy(), tags.offsets.copy()
    other_labels[3] = 1 - other_labels[3]
    place = int(np.flatnonzero(tags.lengths > 1)[0])
    moved[place + 1] -= 1  # a value goes over to the next row
    variants = [
        examples,
        examples.take(np.arange(100)[::-1]),
        replace(examples, labels=other_labels),
        replace(examples, ids=examples.ids + 1),
        replace(examples, impression_id=examples.impression_id + 1),
        replace(examples, values=examples.values + 1),
        replace(examples, values=np.ascontiguousarray(examples.values[:, ::-1])),
        replace(examples, row_weights=examples.row_weights * 2),
        replace(examples, row_weights=None),
        examples.without_values(),
        replace(examples, fields=(f"other {examples.fields[0]}", *examples.fields[1:])),
        replace(examples, segment=np.full(len(examples), "elsewhere", object)),
        with_tags(values=tags.values + 1),
        with_tags(weights=tags.weights + 1),
        with_tags(weights=None),
        with_tags(offsets=moved),
    ]
    assert len({variant.fingerprint() for variant in variants}) == len(variants)
    assert examples.fingerprint() == as_examples(make_table()).fingerprint()
    assert examples.fingerprint() == examples.take(np.arange(100)).fingerprint()


def test_the_fingerprint_of_rows_leaves_features_out(as_examples: Callable) -> None:
    examples = as_examples(make_table())
    changed = replace(examples, ids=examples.ids + 1, vocabulary="v")
    assert changed.fingerprint_of_rows() == examples.fingerprint_of_rows()
    assert changed.fingerprint() != examples.fingerprint()
    for other in (replace(examples, labels=1 - examples.labels), examples.take(np.arange(99))):
        assert other.fingerprint_of_rows() != examples.fingerprint_of_rows()


def test_fingerprints_are_written_with_the_arrays_and_belong_to_these_rows_alone(tmp_path: Path) -> None:
    table = make_table().append_column("_vocabulary", pa.array(["v"] * 100))
    write_arrays(ds.dataset(table), tmp_path / "arrays")
    opened, expected = open_arrays(tmp_path / "arrays"), examples_of(table)
    assert opened.vocabulary == expected.vocabulary == "v"
    assert opened.stored == (expected.fingerprint(), expected.fingerprint_of_rows(), "v")
    assert read_fingerprints(tmp_path / "arrays") == opened.stored
    (tmp_path / "arrays" / "fingerprints.json").write_text('{"whole": "w", "rows": "r", "vocabulary": "v"}')
    again = open_arrays(tmp_path / "arrays")
    assert (again.fingerprint(), again.fingerprint_of_rows()) == ("w", "r")  # not computed anew
    assert again.of_fields(again.fields).of_steps(again.steps) is again
    parts = (again.take(np.arange(100)), again.of_fields(("age",)), replace(again, segment=None))
    assert all(part.stored is None and part.vocabulary == "v" for part in parts)
    assert parts[0].fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("lay_out", [examples_of, lambda table: write_arrays(ds.dataset(table), Path("unused"))])
def test_rows_of_two_vocabularies_are_refused(
    lay_out: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 10)
    table = make_table().append_column("_vocabulary", pa.array(["v"] * 99 + ["w"]))
    with pytest.raises(InputError, match="come from 2 different vocabularies"):
        lay_out(table)


def test_steps_of_one_class(as_examples: Callable) -> None:
    examples = as_examples(make_table())
    labels = examples.labels.copy()
    labels[:, 1] = 1
    assert examples.steps_of_one_class() == []
    assert replace(examples, labels=labels).steps_of_one_class() == ["buy"]
    assert replace(examples, labels=labels * 0).steps_of_one_class() == ["click", "buy"]


def test_rows_without_weight_have_no_class(as_examples: Callable) -> None:
    examples = as_examples(make_table())
    only = replace(examples, row_weights=(examples.labels[:, 1] == 1).astype(np.float32))
    assert only.steps_of_one_class() == ["buy"]
    assert replace(only, row_weights=only.row_weights * 0).steps_of_one_class() == ["click", "buy"]


def test_rows_of_which_a_feature_tells_nothing() -> None:
    """Id 0 alone: null, rare or unknown."""
    table = make_table()
    tells_nothing = {name: sum(not each for each in table[name].to_pylist()) for name in FIELDS}
    for name in ("tags", "shops"):
        tells_nothing[name] = sum(not any(each) for each in table[name].to_pylist())
    assert min(tells_nothing.values()) > 0
    assert examples_of(table).rows_without_known_values() == tells_nothing
