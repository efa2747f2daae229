import numpy as np
import pytest
import torch
from tests.learning.data import make_network, specs_of

from aitm_kedro.learning.training.averaging import WeightAverage


def _network(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return make_network("aitm", specs_of([7, 3]), ["click", "buy"], **options)


def test_a_plain_mean_at_first_then_exponential() -> None:
    network = _network()
    average = WeightAverage(network, epochs=2.0, batches=4)  # looks back over 8 updates
    share, expected = 1 - np.exp(-1 / 8), None
    for update in range(1, 31):
        network.output.weight.data.fill_(float(update))
        average.update()
        expected = update if expected is None else expected + (update - expected) * max(share, 1 / update)
        if update == 5:
            assert expected == pytest.approx(3.0)  # the mean of 1 to 5
        assert average.network.output.weight[0, 0, 0].item() == pytest.approx(expected, rel=1e-5)


def test_long_epochs_are_averaged_in_strides() -> None:
    network = _network()
    average = WeightAverage(network, epochs=1.0, batches=6400)
    for step in range(1, 201):
        network.output.weight.data.fill_(float(step))
        average.update()
    assert average.network.output.weight[0, 0, 0].item() == pytest.approx(150)  # of 100 and 200


def test_what_normalisations_have_seen_is_averaged_too() -> None:
    network = _network(batch_norm=True)
    average = WeightAverage(network, epochs=1.0, batches=4)
    for mean in (0.0, 1.0):
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.fill_(mean)
            if name.endswith("num_batches_tracked"):
                buffer.add_(3)
        average.update()
    seen = dict(average.network.named_buffers())
    assert {buffer.mean().item() for name, buffer in seen.items() if name.endswith("running_mean")} == {0.5}
    assert {buffer.item() for name, buffer in seen.items() if name.endswith("num_batches_tracked")} == {6}
