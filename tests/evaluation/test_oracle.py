"""True probabilities that are not of these labels are noticed; what chance explains is not."""

import numpy as np

from aitm_kedro.evaluation.oracle import differing_steps


def test_a_truth_for_other_windows_is_noticed():
    rng = np.random.default_rng(0)
    truth = rng.beta(1, 20, (50_000, 2))
    labels = (rng.random(truth.shape) < truth).astype(np.uint8)
    assert differing_steps(truth, labels, steps=("approval", "activation")) == []
    labels[:, 1] &= rng.random(len(labels)) < 0.7  # a shorter window loses some of the activations
    assert differing_steps(truth, labels, steps=("approval", "activation")) == ["activation"]


def test_a_handful_of_positives_is_never_enough():
    truth = np.full((100, 1), 0.02)
    labels = np.zeros((100, 1), np.uint8)
    labels[:5] = 1
    assert differing_steps(truth, labels, steps=("click",)) == []
