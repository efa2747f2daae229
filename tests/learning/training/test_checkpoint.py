import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.description import describe
from aitm_kedro.learning.networks.aitm import AITMOptions
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.checkpoint import build, restore, to_weights
from aitm_kedro.learning.training.run import predict_with_network
from aitm_kedro.learning.weights import Weights

CPU = Training(device="cpu")


@pytest.fixture
def weights() -> Weights:
    torch.manual_seed(0)
    description = describe(
        "aitm",
        options=AITMOptions(batch_norm=True, alpha=0.3),
        steps=("click", "apply", "approve"),
        fields=("age", "city", "creative"),
        vocabulary_sizes=(6, 40, 300),
    )
    return to_weights(build(description), description)


def _with(weights: Weights, *, tensors: dict | None = None, metadata: dict | None = None) -> Weights:
    return Weights(tensors=tensors or dict(weights.tensors), metadata=metadata or dict(weights.metadata))


def test_back_to_the_bit(weights: Weights, valid: Examples) -> None:
    model = restore(weights)
    assert not model.training
    assert (model.steps, model.alpha) == (("click", "apply", "approve"), 0.3)
    again = to_weights(model, describe("aitm", options=AITMOptions(), steps=(), fields=(), vocabulary_sizes=()))
    assert again.tensors.keys() == weights.tensors.keys()
    for name, tensor in weights.tensors.items():
        assert again.tensors[name].dtype == tensor.dtype
        assert np.array_equal(again.tensors[name], tensor)
    first, second = (predict_with_network(weights, valid, training=CPU) for _ in range(2))
    assert np.array_equal(first, second)


def test_restored_weights_are_a_copy(weights: Weights) -> None:
    before = weights.tensors["output.weight"].copy()
    restore(weights).output.weight.data.zero_()
    assert np.array_equal(weights.tensors["output.weight"], before)


def test_damaged_weights(weights: Weights) -> None:
    tensors, metadata = dict(weights.tensors), dict(weights.metadata)
    with pytest.raises(InputError, match=r"lack tensors \['ait.weight'\]"):
        restore(_with(weights, tensors={name: t for name, t in tensors.items() if name != "ait.weight"}))
    with pytest.raises(InputError, match=r"unknown tensors \['stranger'\]"):
        restore(_with(weights, tensors=tensors | {"stranger": np.zeros(1)}))
    with pytest.raises(InputError, match=r"'ait.weight' in the weights of 'aitm' has shape \(1,\) instead of"):
        restore(_with(weights, tensors=tensors | {"ait.weight": np.zeros(1)}))
    with pytest.raises(InputError, match=r"lack \['steps'\] in their metadata"):
        restore(_with(weights, metadata={name: text for name, text in metadata.items() if name != "steps"}))
    with pytest.raises(InputError, match="metadata of the weights is damaged"):
        restore(_with(weights, metadata=metadata | {"steps": "[oops"}))
    with pytest.raises(InputError, match="no registered network"):
        restore(_with(weights, metadata=metadata | {"model": '"nobody"'}))
    options = json.dumps({"embedding_dim": 5, "nonsense": 1})
    with pytest.raises(InputError, match="options that this version does not know"):
        restore(_with(weights, metadata=metadata | {"options": options}))


def test_examples_of_another_vocabulary(weights: Weights, valid: Examples) -> None:
    with pytest.raises(InputError, match="was trained with the fields"):
        predict_with_network(weights, replace(valid, fields=("age", "city", "hour")), training=CPU)
    ids = valid.ids.copy()
    ids[0, 1] = 40
    with pytest.raises(InputError, match="the examples have id 40 of 'city'"):
        predict_with_network(weights, replace(valid, ids=ids), training=CPU)
