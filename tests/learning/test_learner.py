"""What every learner stands on: models, vocabulary and examples of different runs do not go together in silence."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.learning.data import FEATURES, fit, make_table, specs_of

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.learning.history import History
from aitm_kedro.learning.learner import (
    ModelSpec,
    check_fits,
    check_ids,
    check_values,
    read_json,
    step_weights,
    stored_fingerprint,
)
from aitm_kedro.learning.networks.learner import sum_up
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.registry import load_trained
from aitm_kedro.learning.tensors import read_tensors, write_tensors


def make_examples(ids: Sequence, **changes: object) -> Examples:
    ids = np.asarray(ids, np.int32)
    examples = Examples(
        ids=ids,
        labels=np.zeros((len(ids), 2), np.uint8),
        fields=tuple("abc"[: ids.shape[1]]),
        steps=("click", "buy"),
        impression_id=np.arange(len(ids)),
    )
    return replace(examples, **changes)


def test_ids_within_their_fields_pass() -> None:
    check_ids(make_examples([[0, 4], [2, 0]]), specs_of([3, 5]))
    check_ids(make_examples(np.empty((0, 2))), specs_of([3, 5]))


def test_an_id_that_would_read_the_next_fields_row_is_refused() -> None:
    with pytest.raises(InputError, match="id 3 of 'a', whose vocabulary has 3 ids"):
        check_ids(make_examples([[3, 0]]), specs_of([3, 5]))


def test_ids_in_lists_are_looked_at_too() -> None:
    lists = {"tags": Ragged(np.array([0, 2, 3]), np.array([1, 4, 0], np.int32))}
    examples = make_examples([[0], [2]], fields=("a", "tags"), lists=lists)
    check_ids(examples, specs_of([3], lists=[5]))
    with pytest.raises(InputError, match="id 4 of 'tags', whose vocabulary has 4 ids"):
        check_ids(examples, specs_of([3], lists=[4]))


def test_fields_in_another_order_are_other_fields() -> None:
    spec = ModelSpec(model="aitm", options={}, steps=("click",), features=specs_of([3, 5], names="ab"))
    check_fits(spec, make_examples([[0, 4]]))
    with pytest.raises(InputError, match=r"with the fields \['a', 'b'\] but the examples have \['b', 'a'\]; run prepa"):
        check_fits(spec, make_examples([[0, 4]], fields=("b", "a")))


def test_ids_of_another_vocabulary_are_refused() -> None:
    features = specs_of([3, 5], names="ab")
    spec = ModelSpec(model="aitm", options={}, steps=("click",), features=features, data={"vocabulary": "v1"})
    check_fits(spec, make_examples([[0, 4]], vocabulary="v1"))
    check_fits(spec, make_examples([[0, 4]]))  # encoded by the vocabulary of a bundle
    sentence = "the model 'aitm' was trained with the vocabulary v1, but the examples were encoded by the vocabulary v2"
    with pytest.raises(InputError, match=sentence):
        check_fits(spec, make_examples([[0, 4]], vocabulary="v2"))
    with pytest.raises(InputError, match=r"with the vocabulary \(not known\), but"):
        check_fits(spec.model_copy(update={"data": {}}), make_examples([[0, 4]], vocabulary="v2"))


def test_a_trained_model_is_known_by_its_fingerprint_in_memory_and_on_disk(tmp_path: Path) -> None:
    train, valid = (replace(make_table(80, seed=seed), vocabulary="v") for seed in (0, 1))
    first, second = (fit("logistic", train, valid, options={"inverse_l2": [0.1]}) for _ in range(2))
    first.save(tmp_path / "model")
    assert first.spec.data == {"vocabulary": "v"}
    assert first.fingerprint() == load_trained(tmp_path / "model").fingerprint()
    assert first.fingerprint() == stored_fingerprint(tmp_path / "model")
    assert first.fingerprint() != second.fingerprint()


def test_values_have_to_be_those_of_all_numeric_features() -> None:
    examples = make_table(10, seed=0)
    check_values(examples, FEATURES, model="x")
    check_values(examples.without_values(), FEATURES[:1], model="x")
    with pytest.raises(InputError, match=r"'x' reads the values of \['age'\] .* have those of \[\]"):
        check_values(examples.without_values(), FEATURES, model="x")


def test_what_a_row_counts_is_its_weight_times_that_of_the_task() -> None:
    weighted = make_examples([[0]] * 3, row_weights=np.array([0, 0.5, 2], np.float32))
    training = Training(task_weights={"buy": 3})
    assert step_weights(make_examples([[0]] * 3), "click", training) is None
    for examples, step, expected in (
        (make_examples([[0]] * 3), "buy", [3, 3, 3]),
        (weighted, "click", [0, 0.5, 2]),
        (weighted, "buy", [0, 1.5, 6]),
    ):
        found = step_weights(examples, step, training)
        assert found.dtype == np.float32
        assert found.tolist() == expected
    assert weighted.row_weights.tolist() == [0, 0.5, 2]


def test_json_that_cannot_be_read_ends_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    known = History(seconds=1, rows_per_second=2, parameters=3, train_rows=4, valid_rows=5)
    path.write_text(known.model_dump_json())
    assert read_json(path, History.model_validate_json) == known
    for content, place in (
        (b"", "the file"),
        (b"\xff", "the file"),
        (b"{}", "seconds"),
        (b'{"seconds": []}', "seconds"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"history.json' is damaged or of another version .*\({place}: "):
            read_json(path, History.model_validate_json)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read_json(path, History.model_validate_json)


def test_tensors_that_do_not_fit_end_in_a_sentence(tmp_path: Path) -> None:
    x, y = np.arange(6, dtype=np.float64).reshape(2, 3), np.array(7, np.float32)
    write_tensors(tmp_path, {"x": x.T, "y": y})
    found = read_tensors(tmp_path, {"x": (3, 2), "y": ()}, model="m")
    assert found["y"] == 7
    np.testing.assert_array_equal(found["x"], x.T)
    assert (found["x"].dtype, found["y"].dtype) == (np.float64, np.float32)
    for shapes, sentence in (
        ({"x": (3, 2)}, r"weights of 'm' lack tensors \[\] and have unknown tensors \['y'\]"),
        ({"x": (3, 2), "y": (), "z": ()}, r"lack tensors \['z'\] and have unknown tensors \[\]"),
        ({"x": (2, 3), "y": ()}, r"'x' in the weights of 'm' has shape \(3, 2\) instead of \(2, 3\)"),
    ):
        with pytest.raises(InputError, match=sentence):
            read_tensors(tmp_path, shapes, model="m")
    with pytest.raises(InputError, match="cannot be read: missing, cut short or damaged"):
        read_tensors(tmp_path / "nowhere", {}, model="m")


def test_one_history_of_several_networks() -> None:
    parts = [
        History(
            steps=(step,), best_epoch=best, epochs=epochs, seconds=10 * epochs, seconds_per_epoch=10,
            rows_per_second=50, parameters=7, train_rows=500, valid_rows=20,
        )
        for step, best, epochs in (("click", 1, 3), ("buy", 4, 5))
    ]  # fmt: skip
    whole = sum_up(parts)
    assert list(whole.parts.values()) == parts
    assert list(whole.parts) == ["click", "buy"]
    assert (whole.best_epoch, whole.epochs, whole.seconds, whole.seconds_per_epoch) == (2.5, 4, 80, 20)
    assert (whole.rows_per_second, whole.parameters, whole.train_rows, whole.valid_rows) == (25, 14, 500, 20)
