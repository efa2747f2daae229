"""What every registered model keeps, whatever it is: one contract for networks, trees and linear models."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.learning.data import FEATURES, NETWORKS, fit, make_table, numbers_of

from aitm_kedro.core.checksums import CHECKSUMS, seal
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.learner import HISTORY_FILE, SPEC_FILE, Trained
from aitm_kedro.learning.registry import MODELS, load_trained

NAMES = pytest.mark.parametrize("name", MODELS)
BY_COUNTS = pytest.mark.parametrize("name", ["logistic", "naive_bayes"])
"""Models whose numbers depend on sums over rows alone."""

TRAIN, VALID, TEST = (make_table(rows, seed=seed) for seed, rows in enumerate((600, 300, 300)))


@cache
def trained_model(name: str) -> Trained:
    return fit(name, TRAIN, VALID)


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A model of the test's ``name``, saved."""
    path = tmp_path / "model"
    trained_model(request.getfixturevalue("name")).save(path)
    return path


def change_json(path: Path, **changes: object) -> None:
    """Another description, sealed as if it had been written so."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    seal(path.parent)


def weights_files(folder: Path) -> list[Path]:
    """Files that hold numbers learnt."""
    return sorted(path for path in files_of(folder) if path.suffix != ".json" or path.name == "blend.json")


def files_of(folder: Path) -> list[Path]:
    """Files of a model, and of those inside it."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def name_in(folder: Path, path: Path) -> str:
    """Name of a file in the list of checksums."""
    return path.relative_to(folder).as_posix()


def seal_all(folder: Path, path: Path) -> None:
    """Checksums of all folders that a file is in, from the innermost outwards."""
    for each in path.parents:
        if each.is_relative_to(folder) and (each / CHECKSUMS).exists():
            seal(each)


def repeat(examples: Examples, counts: np.ndarray) -> Examples:
    """Each row as often as its count says."""
    return examples.take(np.repeat(np.arange(len(examples)), counts))


def weigh(examples: Examples, weights: np.ndarray) -> Examples:
    return replace(examples, row_weights=weights.astype(np.float32))


@NAMES
def test_predictions_are_legal_probabilities(name: str) -> None:
    predictions = trained_model(name).predict(TEST)
    assert (predictions.shape, predictions.dtype) == ((len(TEST), 3), np.float32)
    assert ((predictions >= 0) & (predictions <= 1)).all()
    assert trained_model(name).predict(TEST.take(np.arange(0))).shape == (0, 3)


@NAMES
def test_it_learns_something(name: str) -> None:
    predictions = fit(name, make_table(1500, seed=5), VALID).predict(TEST)
    assert auc(TEST.labels[:, 0], predictions[:, 0]) > 0.65
    assert min(auc(TEST.labels[:, t], predictions[:, t]) for t in (1, 2)) > 0.55


@NAMES
def test_it_says_what_it_was_built_from_and_how_training_went(name: str) -> None:
    trained, history = trained_model(name), trained_model(name).history
    assert (trained.spec.model, trained.spec.steps, trained.spec.features) == (name, TRAIN.steps, FEATURES)
    assert trained.spec.options.keys() == MODELS[name].Options.model_fields.keys()
    assert (history.train_rows, history.valid_rows) == (len(TRAIN), len(VALID))
    assert min(history.seconds, history.rows_per_second, history.parameters) > 0
    assert trained.place(device="cpu", threads=1) is trained


@NAMES
def test_the_same_seed_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    first, second, other = (
        numbers_of(fit(name, TRAIN, VALID, max_epochs=1, seed=seed), tmp_path / str(place))
        for place, seed in enumerate((0, 0, 1))
    )
    assert first == second
    assert (first == other) == MODELS[name].deterministic


@NAMES
def test_saved_and_loaded_it_is_the_same_to_the_bit(name: str, folder: Path) -> None:
    again = load_trained(folder)
    assert (again.spec, again.history) == (trained_model(name).spec, trained_model(name).history)
    # Products of matrices may round otherwise where memory is aligned otherwise, now and then.
    np.testing.assert_allclose(again.predict(TEST), trained_model(name).predict(TEST), rtol=2e-6)
    again.save(folder.with_name("again"))
    copy = folder.with_name("again")
    assert {name_in(folder, path): path.read_bytes() for path in files_of(folder)} == {
        name_in(copy, path): path.read_bytes() for path in files_of(copy)
    }


@NAMES
def test_a_saved_model_holds_open_formats_and_no_pickle(name: str, folder: Path) -> None:
    assert {path.suffix for path in files_of(folder)} <= {".json", ".safetensors", ".txt"}
    assert weights_files(folder)
    for path in files_of(folder):
        if path.suffix == ".safetensors":
            load_file(path)
        else:  # texts, which no pickle is
            path.read_bytes().decode()
    with pytest.raises(FileExistsError):  # never over another model
        trained_model(name).save(folder)


DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "a byte less": lambda content: content[:-1],
    "garbled": lambda content: b"\xff\x00" * (len(content) // 2),
    "garbled head": lambda content: b"\xfe" * 64 + content[64:],
}


@pytest.mark.parametrize("damage", DAMAGES)
@NAMES
def test_damage_ends_in_a_sentence(name: str, folder: Path, damage: str) -> None:
    for path in files_of(folder):
        whole = path.read_bytes()
        path.write_bytes(DAMAGES[damage](whole))
        with pytest.raises(InputError, match=f"cannot be trusted: '{name_in(folder, path)}' is not as it was written"):
            load_trained(folder)
        path.write_bytes(whole)
    load_trained(folder)


@pytest.mark.parametrize("damage", DAMAGES)
@NAMES
def test_what_was_damaged_before_it_was_sealed_ends_in_a_sentence(name: str, folder: Path, damage: str) -> None:
    for path in (*weights_files(folder), folder / SPEC_FILE, folder / HISTORY_FILE):
        if path.suffix == ".txt" and damage not in ("empty", "garbled head"):
            continue  # LightGBM may end the process at such a text
        whole = path.read_bytes()
        path.write_bytes(DAMAGES[damage](whole))
        seal_all(folder, path)
        with pytest.raises(InputError, match="train the model"):
            load_trained(folder)
        path.write_bytes(whole)
        seal_all(folder, path)


@NAMES
def test_a_missing_file_is_an_error(name: str, folder: Path) -> None:
    for path in files_of(folder):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises((InputError, FileNotFoundError), match=name_in(folder, path)):
            load_trained(folder)
        path.write_bytes(content)


@NAMES
def test_what_this_version_does_not_know_ends_in_a_sentence(name: str, folder: Path) -> None:
    written = json.loads((folder / SPEC_FILE).read_text())
    for changes, sentence in (
        ({"options": written["options"] | {"stranger": 1}}, f"'{name}' in .* with options that this version does not"),
        ({"model": f"{name}x"}, f"'{name}x' is no registered model; did you mean '{name}'"),
        ({"model": "nobody"}, r"'nobody' is no registered model; choose among lightgbm, mlp, "),
        ({"format": 2}, r"another version of the project \(format: .*; train the model again"),
    ):
        change_json(folder / SPEC_FILE, **written | changes)
        with pytest.raises(InputError, match=sentence):
            load_trained(folder)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("lightgbm", "ensemble")])  # without shapes
def test_numbers_of_another_shape_end_in_a_sentence(name: str, folder: Path) -> None:
    """As of a run whose vocabulary was larger."""
    features = [feature.model_dump(mode="json") for feature in FEATURES]
    features[0]["ids"] += 1
    change_json(folder / SPEC_FILE, features=features)
    with pytest.raises(InputError, match=rf"in the weights of '{name}' has shape .* instead of .*; train the model"):
        load_trained(folder)


@NAMES
def test_examples_of_other_fields_are_refused(name: str) -> None:
    trained = trained_model(name)
    for fields in (("city", "age", "tags"), ("age", "city", "tags", "shops"), ("city", "age", "shops", "tags")):
        with pytest.raises(InputError, match=rf"'{name}' was trained with the fields \['city', 'age', 'tags', 'shops'"):
            trained.predict(TEST.of_fields(fields))


def with_stray_id(examples: Examples, field: str) -> Examples:
    """One id is the first of the next field."""
    if field in examples.lists:
        values = examples.lists[field].values.copy()
        values[5] = next(feature.ids for feature in FEATURES if feature.name == field)
        return replace(examples, lists=dict(examples.lists) | {field: replace(examples.lists[field], values=values)})
    ids, place = examples.ids.copy(), examples.fields.index(field)
    ids[5, place] = FEATURES[place].ids
    return replace(examples, ids=ids)


@pytest.mark.parametrize("field", ["city", "age", "tags"])
@NAMES
def test_stray_ids_are_refused(name: str, field: str) -> None:
    sentence = rf"the examples have id \d of '{field}', whose vocabulary has \d ids"
    with pytest.raises(InputError, match=sentence):
        trained_model(name).predict(with_stray_id(TEST, field))
    with pytest.raises(InputError, match=sentence):
        fit(name, with_stray_id(TRAIN, field), VALID)


@pytest.mark.parametrize(
    ("name", "value"),
    # A network may learn that a step always happens.
    [(name, value) for name in MODELS for value in (0, 1) if value == 0 or name not in NETWORKS],
)
def test_a_step_without_two_classes_in_train_ends_in_a_sentence(name: str, value: int) -> None:
    labels = TRAIN.labels.copy()
    labels[:, 2] = value
    with pytest.raises(InputError, match="'approve'"):
        fit(name, replace(TRAIN, labels=labels), VALID)


@NAMES
def test_positives_without_weight_are_no_positives(name: str) -> None:
    with pytest.raises(InputError, match="'approve'"):
        fit(name, weigh(TRAIN, TRAIN.labels[:, 2] == 0), VALID)


@NAMES
def test_labels_of_rows_without_weight_do_not_matter(name: str, tmp_path: Path) -> None:
    """Neither in train nor in validation, to the bit."""
    found = []
    for noise in (0, 1):
        parts = []
        for part in (TRAIN, VALID):
            weights = np.where(np.arange(len(part)) % 3 == 0, 0, 1.5)
            labels = np.where(weights[:, None] > 0, part.labels, (part.labels + noise) % 2).astype(np.uint8)
            parts.append(weigh(replace(part, labels=labels), weights))
        found.append(fit(name, *parts, max_epochs=2))
    assert found[0].history.chosen == found[1].history.chosen
    first, second = (numbers_of(trained, tmp_path / str(place)) for place, trained in enumerate(found))
    assert first == second


@NAMES
def test_weights_of_one_are_no_weights(name: str, tmp_path: Path) -> None:
    ones = [weigh(part, np.ones(len(part))) for part in (TRAIN, VALID)]
    weighted = fit(name, *ones, max_epochs=1, task_weights={"click": 1, "apply": 1.0})
    plain = fit(name, TRAIN, VALID, max_epochs=1)
    if name != "naive_bayes":  # which sums in another order, one rounding apart
        assert numbers_of(weighted, tmp_path / "weighted") == numbers_of(plain, tmp_path / "plain")
    np.testing.assert_allclose(weighted.predict(TEST), plain.predict(TEST), rtol=1e-6)


@NAMES
def test_row_weights_change_what_is_learnt(name: str) -> None:
    """Rows of even cities click, say the weights."""

    def say(examples: Examples) -> Examples:
        even = examples.ids[:, 0] % 2 == 0
        return weigh(examples, np.where(even == examples.labels[:, 0], 3.0, 0.1))

    longer = {"max_epochs": 6, "batch_size": 50, "learning_rate": 0.03}
    weighted, plain = (fit(name, *parts, **longer) for parts in ((say(TRAIN), say(VALID)), (TRAIN, VALID)))
    even = TEST.ids[:, 0] % 2 == 0
    gap = [
        found[even].mean() - found[~even].mean() for found in (part.predict(TEST)[:, 0] for part in (weighted, plain))
    ]
    assert gap[0] > gap[1] + 0.1


@pytest.mark.parametrize("step", ["click", "approve"])
@NAMES
def test_the_weight_of_a_task_counts_for_it(name: str, step: str) -> None:
    """It scales the loss against the regularisation; what has neither to share nor to regularise, it leaves alone."""
    weighted = fit(name, TRAIN, VALID, task_weights={step: 30.0}).predict(TEST)
    plain = trained_model(name).predict(TEST)
    differs = [not np.allclose(weighted[:, t], plain[:, t], atol=1e-4) for t in range(3)]
    # A model, or a network, a step.
    alone = {name for name, learner in MODELS.items() if not (learner.reads_training or learner.blends)} | {"mlp"}
    expected = [task == step for task in TRAIN.steps] if name in alone else [True] * 3
    assert differs == expected


@BY_COUNTS
def test_a_row_of_weight_zero_is_a_row_left_out(name: str) -> None:
    kept = np.arange(len(TRAIN)) % 4 != 1
    weighted = fit(name, weigh(TRAIN, kept), VALID)
    left_out = fit(name, TRAIN.take(np.flatnonzero(kept)), VALID)
    assert_alike(weighted, left_out)


@BY_COUNTS
def test_a_row_of_weight_three_is_three_rows(name: str) -> None:
    counts = np.random.default_rng(0).integers(0, 4, len(TRAIN))
    assert_alike(fit(name, weigh(TRAIN, counts), VALID), fit(name, repeat(TRAIN, counts), VALID))


def test_the_weight_of_a_task_is_that_of_all_its_rows() -> None:
    for name in ("logistic", "naive_bayes"):
        thrice = fit(name, repeat(TRAIN, np.full(len(TRAIN), 3)), VALID).predict(TEST)
        weighted = fit(name, TRAIN, VALID, task_weights={"apply": 3.0}).predict(TEST)
        np.testing.assert_allclose(weighted[:, 1], thrice[:, 1], atol=2e-3)
        assert not np.allclose(weighted[:, 1], trained_model(name).predict(TEST)[:, 1], atol=2e-3)


def assert_alike(one: Trained, other: Trained) -> None:
    """Equal up to where the solver stops."""
    assert one.history.chosen.keys() == other.history.chosen.keys()
    np.testing.assert_allclose(one.predict(TEST), other.predict(TEST), atol=2e-3)


def test_numbers_that_counts_determine() -> None:
    """Naive Bayes has a closed form, so that nothing hides behind a tolerance of a solver."""
    counts = np.random.default_rng(0).integers(0, 4, len(TRAIN))
    weighted, repeated = (
        fit("naive_bayes", part, VALID).estimators for part in (weigh(TRAIN, counts), repeat(TRAIN, counts))
    )
    for one, other in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(one.feature_log_prob_, other.feature_log_prob_, rtol=1e-12)
        np.testing.assert_allclose(one.class_log_prior_, other.class_log_prior_, rtol=1e-12)


# One that chooses nothing, and one that chooses no score.
@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("naive_bayes", "ensemble")])
def test_row_weights_of_validation_choose(name: str) -> None:
    """Scores in the history are weighted."""
    weights = np.random.default_rng(0).exponential(1, len(VALID)).astype(np.float32)
    valid = replace(VALID, row_weights=weights)
    trained = fit(name, TRAIN, valid, max_epochs=2)
    predictions, history = trained.predict(valid), trained.history
    expected = {step: auc(valid.labels[:, t], predictions[:, t], weights) for t, step in enumerate(valid.steps)}
    if name in NETWORKS:
        for part in history.parts.values() or [history]:
            best = next(one for one in part.validations if one.epoch == part.best_epoch)
            assert best.valid_auc == pytest.approx({step: expected[step] for step in best.valid_auc}, abs=1e-6)
            assert part.best_deciding == best.deciding
    else:
        for step, chosen in history.chosen.items():
            assert max(chosen["valid_auc"].values()) == pytest.approx(expected[step], abs=1e-5)


@NAMES
def test_predictions_of_a_row_do_not_depend_on_the_others(name: str) -> None:
    trained, rows = trained_model(name), np.array([7, 7, 3, 250])
    np.testing.assert_allclose(trained.predict(TEST.take(rows)), trained.predict(TEST)[rows], atol=1e-6)


@NAMES
def test_one_step_and_one_field_are_enough(name: str) -> None:
    parts = [make_table(400, seed=seed, tasks=1).of_fields(["city"]) for seed in (0, 1)]
    predictions = fit(name, *parts, features=FEATURES[:1]).predict(parts[1])
    assert predictions.shape == (400, 1)
    assert auc(parts[1].labels[:, 0], predictions[:, 0]) > 0.55


@NAMES
def test_lists_alone_are_enough(name: str) -> None:
    parts = [part.of_fields(["tags", "shops"]) for part in (TRAIN, VALID)]
    assert isinstance(parts[0].lists["tags"], Ragged)
    predictions = fit(name, *parts, features=FEATURES[2:]).predict(parts[1])
    assert np.isfinite(predictions).all()
    assert auc(VALID.labels[:, 0], predictions[:, 0]) > 0.52
