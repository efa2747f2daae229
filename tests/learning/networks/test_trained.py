"""Trained networks: their state on the disk and back, where they predict, and what they show."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tests.learning.data import NETWORKS, fit, make_table

from aitm_kedro.core.checksums import seal
from aitm_kedro.core.errors import InputError
from aitm_kedro.learning.networks.trained import TrainedNetwork
from aitm_kedro.learning.registry import load_trained
from aitm_kedro.learning.tensors import TENSORS_FILE
from aitm_kedro.learning.training.batches import as_batch

TRAIN, VALID = make_table(300, seed=0), make_table(200, seed=1)


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    """With running statistics, which are no parameters, and an option that is no default."""
    return fit("aitm", TRAIN, VALID, options={"preset": "paper", "batch_norm": True, "alpha": 0.3}, max_epochs=1)


@pytest.fixture
def folder(trained: TrainedNetwork, tmp_path: Path) -> Path:
    trained.save(tmp_path / "model")
    return tmp_path / "model"


def test_back_to_the_bit(trained: TrainedNetwork, folder: Path) -> None:
    again = load_trained(folder)
    assert not again.network.training
    assert (again.network.steps, again.network.alpha) == (TRAIN.steps, 0.3)
    state, expected = again.network.state_dict(), trained.network.state_dict()
    assert any("running_mean" in name and tensor.any() for name, tensor in state.items())
    assert state.keys() == expected.keys() == load_file(folder / TENSORS_FILE).keys()
    for name, tensor in state.items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name])
    assert np.array_equal(again.predict(VALID), again.predict(VALID))


def test_what_is_loaded_is_a_copy(folder: Path) -> None:
    before = (folder / TENSORS_FILE).read_bytes()
    load_trained(folder).network.output.weight.data.zero_()
    assert (folder / TENSORS_FILE).read_bytes() == before
    assert load_trained(folder).network.output.weight.any()


def test_damaged_weights(folder: Path) -> None:
    tensors = load_file(folder / TENSORS_FILE)
    for changed, sentence in (
        ({name: t for name, t in tensors.items() if name != "ait.weight"}, r"lack tensors \['ait.weight'\]"),
        (tensors | {"stranger": np.zeros(1)}, r"unknown tensors \['stranger'\]"),
        (tensors | {"ait.weight": np.zeros(1)}, r"'ait.weight' in the weights of 'aitm' has shape \(1,\) instead of"),
    ):
        save_file(changed, folder / TENSORS_FILE)
        seal(folder)
        with pytest.raises(InputError, match=sentence):
            load_trained(folder)


def test_a_device_that_is_not_there(trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"training\.device is 'cuda', which this machine does not have"):
        trained.place(device="cuda")
    with pytest.raises(InputError, match=r"training\.device is 'cuda', which this machine does not have"):
        fit("aitm", TRAIN, VALID, device="cuda")


def test_threads_are_those_asked_for_and_given_back(trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    found, before, forward = [], torch.get_num_threads(), trained.network.forward
    monkeypatch.setattr(
        trained.network, "forward", lambda batch: (found.append(torch.get_num_threads()), forward(batch))[1]
    )
    for threads in (2, 1, None):
        trained.place(device="cpu", threads=threads).predict(VALID)
    assert found == [2, 1, before]
    assert torch.get_num_threads() == before


def test_inspection_is_of_the_rows_and_fields_asked_for(trained: TrainedNetwork) -> None:
    rows = np.array([5, 5, 0, 17])
    seen = trained.inspect(VALID.take(rows))
    whole = trained.network.inspect(as_batch(VALID))
    for found, expected in zip(seen, whole, strict=True):
        torch.testing.assert_close(found, expected[torch.from_numpy(rows)], rtol=1e-4, atol=1e-5)
    assert [len(part) for part in trained.inspect(VALID.take(rows[:0]))] == [0] * 4
    with pytest.raises(InputError, match=r"no column \['tags'\]"):
        trained.inspect(VALID.of_fields(["city", "age", "shops"]))


def test_bfloat16_trains_float32(tmp_path: Path) -> None:
    trained = fit("aitm", TRAIN, VALID, precision="bfloat16", max_epochs=1)
    assert trained.history.precision == "bfloat16"
    assert {tensor.dtype for tensor in trained.network.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("name", NETWORKS)
def test_main_steps_decide_and_parts_stop_by_themselves(name: str) -> None:
    options = {"main_steps": ["apply", "approve"], "max_epochs": 2, "preset": "paper"}
    history = fit(name, TRAIN, VALID, **options).history
    if name == "mlp":
        assert list(history.parts) == list(TRAIN.steps)
        assert all(part.deciding_steps == part.steps == (step,) for step, part in history.parts.items())
        assert history.parameters == sum(part.parameters for part in history.parts.values())
    else:
        assert (history.deciding_steps, history.parts) == (("apply", "approve"), {})
        assert [validation.epoch for validation in history.validations] == [1, 2]


def test_a_part_whose_step_validation_cannot_score_ends_in_a_sentence() -> None:
    labels = VALID.labels.copy()
    labels[:, 2] = 0
    with pytest.raises(InputError, match=r"one class of 'approve', .*that step in 'mlp' .*, or 'mlp' out of runs"):
        fit("mlp", TRAIN, type(VALID)(**vars(VALID) | {"labels": labels}))
