import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.learning import data
from tests.learning.data import make_network, specs_of

from aitm_kedro.core import progress
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.recalibration import recalibrated_log_loss
from aitm_kedro.learning.history import History
from aitm_kedro.learning.networks.aitm import calibrator
from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.batches import shuffled_batches
from aitm_kedro.learning.training.devices import choose_device
from aitm_kedro.learning.training.loop import fit
from aitm_kedro.learning.training.predict import predict
from aitm_kedro.learning.training.stopping import step_aucs, validation_marks

SIZES, STEPS = (6, 40, 300), ("click", "apply", "approve")
FEATURES = specs_of(SIZES, names=("age", "city", "creative"))
FAST = Training(preset="paper", batch_size=250, max_epochs=3, device="cpu", threads=1)

LOSSES = [2.0251, 1.8372, 1.6343]
"""Training losses of FAST, epoch by epoch; a refactoring must reproduce them."""


def _train(train: Examples, valid: Examples, **changes: object) -> tuple[Network, History]:
    torch.manual_seed(0)
    model = make_network("aitm", FEATURES, STEPS, preset="paper")
    options = Training(**FAST.model_dump() | changes)
    return model, fit(model, train, valid, options=options, main_steps=("apply", "approve"), seed=0)


def test_loss_curve(train: Examples, valid: Examples) -> None:
    _, history = _train(train, valid)
    losses = [validation.train_loss for validation in history.validations]
    assert losses == pytest.approx(LOSSES, abs=5e-3)


def test_history(train: Examples, valid: Examples) -> None:
    model, history = _train(train, valid, validate_every=0.5)
    validations = history.validations
    assert [v.epoch for v in validations] == [0.5, 1, 1.5, 2, 2.5, 3]
    assert [v.rows for v in validations] == [2000, 4000, 6000, 8000, 10000, 12000]
    best = max(validations, key=lambda v: v.deciding)
    assert history.best_epoch == best.epoch
    assert best.deciding == pytest.approx(np.mean([best.valid_auc[step] for step in ("apply", "approve")]))
    assert history.parameters == sum(p.numel() for p in model.parameters())
    assert (history.device, history.precision, history.train_rows) == ("cpu", "float32", 4000)


def test_same_seed_same_numbers(train: Examples, valid: Examples) -> None:
    results = [data.fit("aitm", train, valid, features=FEATURES, **FAST.model_dump(), seed=seed) for seed in (3, 3, 4)]
    same, again, other = (result.network.state_dict() for result in results)
    assert all(torch.equal(same[name], again[name]) for name in same)
    assert not torch.equal(same["output.weight"], other["output.weight"])


def test_the_best_state_is_restored(train: Examples, valid: Examples) -> None:
    model, history = _train(train, valid, learning_rate=0.05, max_epochs=6, patience=6, l2=0.0)
    deciding = [v.deciding for v in history.validations]
    assert np.argmax(deciding) < len(deciding) - 1, "the last state is the best; the test sees nothing"
    y = predict(model, valid)
    assert np.mean([auc(valid.labels[:, t], y[:, t]) for t in (1, 2)]) == pytest.approx(max(deciding))


def test_patience(train: Examples, valid: Examples) -> None:
    _, history = _train(train, valid, learning_rate=0.05, max_epochs=30, patience=2)
    since = len(history.validations) - 1 - np.argmax([v.deciding for v in history.validations])
    assert since == 2
    assert (history.stopped_by, history.may_be_unfinished) == ("patience", False)


def test_a_cap_is_told_from_patience(train: Examples, valid: Examples) -> None:
    _, history = _train(train, valid, max_epochs=1)
    assert (history.stopped_by, history.may_be_unfinished) == ("max_epochs", True)
    declining = [validation.model_copy(update={"best": False}) for validation in history.validations]
    assert not history.model_copy(update={"validations": tuple(declining)}).may_be_unfinished


def test_a_history_of_an_older_file_does_not_say_why_training_stopped(train: Examples, valid: Examples) -> None:
    written = _train(train, valid, max_epochs=1)[1].model_dump(exclude={"stopped_by"})
    older = History.model_validate(written)
    assert (older.stopped_by, older.may_be_unfinished) == (None, False)


@pytest.mark.parametrize(
    ("model", "which"), [("aitm", ""), ("mlp", " (its networks of click, apply, approve)")], ids=["one", "several"]
)
def test_a_best_epoch_at_the_cap_is_warned_of_once(
    train: Examples, valid: Examples, caplog: pytest.LogCaptureFixture, model: str, which: str
) -> None:
    data.fit(model, train, valid, features=FEATURES, **FAST.model_dump() | {"max_epochs": 1})
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == [
        f"'{model}' with seed 0{which} may not have finished learning: the last epoch that training.max_epochs (1) "
        "allows was its best on validation; raise training.max_epochs."
    ]


@pytest.mark.parametrize(
    ("every", "marks"),
    [(1.0, [10, 20, 30]), (0.5, [5, 10, 15, 20, 25, 30]), (0.7, [7, 14, 21, 28, 30]), (0.01, list(range(1, 31)))],
)
def test_validation_marks(every: float, marks: list[int]) -> None:
    assert validation_marks(batches=10, max_epochs=3, validate_every=every) == marks


def test_an_epoch_sees_every_row_once_in_another_order(train: Examples) -> None:
    numbered = replace(train, ids=np.arange(len(train) * 3, dtype=np.int32).reshape(-1, 3))
    generator = torch.Generator().manual_seed(0)
    epochs = []
    for _ in range(2):
        batches = list(shuffled_batches(numbered, batch_size=7, generator=generator, device=torch.device("cpu")))
        assert {len(labelled.labels) for labelled in batches[:-1]} == {7}
        for labelled in batches[:20]:
            assert np.array_equal(labelled.labels, train.labels[labelled.batch.ids[:, 0].numpy() // 3])
        epochs.append(torch.cat([labelled.batch.ids[:, 0] for labelled in batches]).numpy() // 3)
    assert all(np.array_equal(np.sort(order), np.arange(len(train))) for order in epochs)
    assert not np.array_equal(*epochs)
    assert abs(np.corrcoef(epochs[0], np.arange(len(train)))[0, 1]) < 0.1


def test_a_tiny_batch_overfits(train: Examples) -> None:
    few = replace(train, ids=np.arange(16, dtype=np.int32)[:, None].repeat(3, 1) % SIZES, labels=train.labels[:16])
    few = replace(few, ids=few.ids.astype(np.int32))
    torch.manual_seed(0)
    tower = {"layers": (64, 32), "dropout": (0.0, 0.0)}
    model = make_network("aitm", FEATURES, STEPS, tower=tower, transfer_dropout=0, alpha=0)
    training = Training(batch_size=16, max_epochs=300, patience=300, learning_rate=0.02, device="cpu", l2=0)
    history = fit(model, few, few, options=training, main_steps=STEPS, seed=0)
    assert history.validations[-1].train_loss < 0.05


def test_last_batch_of_one_row_with_batch_norm(train: Examples, valid: Examples) -> None:
    odd = train.take(np.arange(501))
    model = make_network("aitm", FEATURES, STEPS, batch_norm=True)
    history = fit(model, odd, valid, options=FAST, main_steps=STEPS, seed=0)
    assert history.validations[-1].rows == 3 * 501


def test_bfloat16_keeps_float32_weights_and_comes_near(train: Examples, valid: Examples) -> None:
    model, history = _train(train, valid, precision="bfloat16")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    losses = [validation.train_loss for validation in history.validations]
    assert losses == pytest.approx(LOSSES, abs=0.1)


def test_a_main_step_without_two_classes_is_left_out(train: Examples, valid: Examples) -> None:
    labels = valid.labels.copy()
    labels[:, 2] = 0
    _, history = _train(train, replace(valid, labels=labels))
    first = history.validations[0]
    assert first.valid_auc["approve"] is None
    assert first.deciding == first.valid_auc["apply"]


def test_predictions_do_not_depend_on_the_batches(train: Examples, valid: Examples) -> None:
    model, _ = _train(train, valid)
    assert np.allclose(predict(model, valid, batch_size=7), predict(model, valid), atol=1e-6)
    assert predict(model, valid.take(np.arange(0))).shape == (0, 3)


def test_progress_is_logged(
    train: Examples, valid: Examples, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)
    with caplog.at_level(logging.INFO, logger="aitm_kedro"):
        _train(train, valid, max_epochs=2)
    assert "rows/s" in caplog.text
    assert "left" in caplog.text
    assert "validation AUC" in caplog.text


def test_bad_input_ends_in_a_sentence(train: Examples, valid: Examples) -> None:
    none, no_ids = np.zeros_like(valid.labels), valid.ids[:0]
    with pytest.raises(InputError, match=r"only one class of every step in funnel\.main_steps"):
        _train(train, replace(valid, labels=none))
    with pytest.raises(InputError, match="validation split is empty"):
        _train(train, replace(valid, ids=no_ids, labels=none[:0]))
    with pytest.raises(InputError, match="train split is empty"):
        _train(replace(train, ids=no_ids, labels=none[:0]), valid)
    rare = train.labels.copy()
    rare[:, 2] = 0
    with pytest.raises(InputError, match=r"no positives of \['approve'\]"):
        _train(replace(train, labels=rare), valid)


def test_divergence_ends_in_a_sentence(train: Examples, valid: Examples) -> None:
    with pytest.raises(InputError, match="training diverged: the loss is"):
        _train(train, valid, learning_rate=1e30)


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"training\.device is 'cuda', which this machine does not have"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; none is here")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("updates", ["lazy", "dense"])
def test_cuda_learns_what_the_cpu_learns(train: Examples, valid: Examples, precision: str, updates: str) -> None:
    shared = {"max_epochs": 3, "embedding_updates": updates}
    _, on_cpu = _train(train, valid, **shared)
    model, on_cuda = _train(train, valid, device="cuda", precision=precision, **shared)
    assert on_cuda.device.startswith("cuda")
    assert on_cuda.best_deciding == pytest.approx(on_cpu.best_deciding, abs=0.03)
    assert next(model.parameters()).device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; none is here")
def test_cuda_predicts_what_the_cpu_predicts(train: Examples, valid: Examples) -> None:
    trained = data.fit("aitm", train, valid, features=FEATURES, **FAST.model_dump())
    on_cuda = trained.place(device="cuda").predict(valid)
    assert np.allclose(on_cuda, trained.place(device="cpu").predict(valid), atol=1e-3)


def test_weights_of_one_give_exactly_the_numbers_of_no_weights(train: Examples, valid: Examples) -> None:
    plain, _ = _train(train, valid, max_epochs=1)
    ones = [replace(part, row_weights=np.ones(len(part), np.float32)) for part in (train, valid)]
    weighted, _ = _train(*ones, max_epochs=1, task_weights={"apply": 1.0})
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, weighted.state_dict()[name])


def test_labels_of_rows_without_weight_do_not_matter(train: Examples, valid: Examples) -> None:
    found = []
    for noise in (0, 1):
        parts = []
        for part in (train, valid):
            weights = (np.arange(len(part)) % 3 > 0).astype(np.float32) * 1.5
            labels = np.where(weights[:, None] > 0, part.labels, (part.labels + noise) % 2).astype(np.uint8)
            parts.append(replace(part, labels=labels, row_weights=weights))
        model, history = _train(*parts, max_epochs=2)
        found.append((model.state_dict(), history))
    (first, of_first), (second, of_second) = found
    assert all(torch.equal(first[name], second[name]) for name in first)
    for one, other in zip(of_first.validations, of_second.validations, strict=True):
        assert (one.train_loss, one.valid_auc, one.deciding) == (other.train_loss, other.valid_auc, other.deciding)


def test_task_weights_scale_the_losses_and_the_deciding_metric(train: Examples, valid: Examples) -> None:
    weights = {"click": 0.5, "approve": 3.0}
    model, history = _train(train, valid, task_weights=weights, max_epochs=1, batch_size=len(train))
    torch.manual_seed(0)
    fresh = make_network("aitm", FEATURES, STEPS, preset="paper").train()
    torch.manual_seed(0)  # of dropout, as the loop sets it
    (labelled,) = shuffled_batches(
        train, batch_size=len(train), generator=torch.Generator().manual_seed(0), device=torch.device("cpu")
    )
    logits = fresh(labelled.batch)
    by_step = torch.nn.functional.binary_cross_entropy_with_logits(logits, labelled.labels, reduction="none").mean(0)
    expected = by_step @ torch.tensor([0.5, 1.0, 3.0]) + 0.6 * calibrator(torch.sigmoid(logits))
    (validation,) = history.validations
    assert validation.train_loss == pytest.approx(expected.item(), rel=1e-5)
    aucs = validation.valid_auc
    assert validation.deciding == pytest.approx((aucs["apply"] + 3 * aucs["approve"]) / 4)
    assert validation.valid_auc == step_aucs(valid, predict(model, valid))


def test_row_weights_count_in_validation(train: Examples, valid: Examples) -> None:
    weighted = replace(valid, row_weights=np.linspace(0, 2, len(valid), dtype=np.float32))
    model, history = _train(train, weighted, max_epochs=1)
    y = predict(model, valid)
    for t, step in enumerate(STEPS):
        expected = auc(valid.labels[:, t], y[:, t], weighted.row_weights)
        assert history.validations[0].valid_auc[step] == pytest.approx(expected)
        assert expected != auc(valid.labels[:, t], y[:, t])


def test_log_loss_decides_over_all_steps(train: Examples, valid: Examples) -> None:
    model, history = _train(train, valid, stop_on="log_loss", learning_rate=0.05, max_epochs=6, patience=6, l2=0.0)
    deciding = [v.deciding for v in history.validations]
    assert np.argmin(deciding) < len(deciding) - 1, "the last state is the best; the test sees nothing"
    assert [v.best for v in history.validations] == [d == min(deciding[: i + 1]) for i, d in enumerate(deciding)]
    y = predict(model, valid)
    losses = [recalibrated_log_loss(valid.labels[:, t], y[:, t]) for t in range(3)]
    assert history.best_deciding == min(deciding) == pytest.approx(np.mean(losses))
    assert (history.decided_by, history.deciding_steps) == ("log_loss", STEPS)


def test_averaged_weights_are_judged_and_kept(train: Examples, valid: Examples) -> None:
    plain, _ = _train(train, valid, max_epochs=2)
    model, history = _train(train, valid, max_epochs=2, average=1.0)
    assert not torch.equal(model.output.weight, plain.output.weight)
    aucs = step_aucs(valid, predict(model, valid))
    assert history.validations[-1].best
    assert history.validations[-1].valid_auc == aucs
    again, _ = _train(train, valid, max_epochs=2, average=1.0)
    assert all(torch.equal(part, again.state_dict()[name]) for name, part in model.state_dict().items())


def test_batches_follow_the_rows(train: Examples, valid: Examples) -> None:
    _, history = _train(train, valid, max_epochs=1, batch_size="auto")
    assert history.batch_size == 256


@pytest.mark.parametrize("split", ["train", "validation"])
def test_positives_without_weight_are_none(train: Examples, valid: Examples, split: str) -> None:
    parts = {"train": train, "validation": valid}
    part = parts[split]
    parts[split] = replace(part, row_weights=(part.labels[:, 0] == 0).astype(np.float32))
    sentence = "no positives of" if split == "train" else "only one class of every step in funnel.main_steps"
    with pytest.raises(InputError, match=sentence):
        _train(*parts.values())
