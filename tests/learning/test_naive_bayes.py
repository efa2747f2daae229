"""Naive Bayes against scikit-learn's own, and its closed form."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.naive_bayes import BernoulliNB
from tests.learning.data import FEATURES, fit, make_table

from aitm_kedro.learning.one_hot import encode

SIZES = [feature.ids for feature in FEATURES]
TRAIN, VALID = make_table(500, seed=0), make_table(200, seed=1)


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_that_of_scikit_learn(smoothing: float, weighted: bool) -> None:
    weights = np.random.default_rng(0).exponential(size=len(TRAIN)).astype(np.float32) if weighted else None
    model = fit("naive_bayes", replace(TRAIN, row_weights=weights), VALID, options={"smoothing": smoothing})
    x, x_valid = encode(TRAIN, SIZES).toarray() > 0, encode(VALID, SIZES).toarray() > 0
    found = model.predict(VALID)
    for t in range(3):
        theirs = BernoulliNB(alpha=smoothing).fit(x, TRAIN.labels[:, t], sample_weight=weights)
        np.testing.assert_allclose(found[:, t], theirs.predict_proba(x_valid)[:, 1], rtol=1e-5)


def test_closed_form() -> None:
    """Counts of every id in each class, with one more of each, over the rows of the class and two more."""
    (estimator, *_), x = fit("naive_bayes", TRAIN, VALID).estimators, encode(TRAIN, SIZES).toarray() > 0
    for label in (0, 1):
        of_class = TRAIN.labels[:, 0] == label
        expected = (x[of_class].sum(axis=0) + 1) / (of_class.sum() + 2)
        np.testing.assert_allclose(np.exp(estimator.feature_log_prob_[label]), expected)
        assert np.exp(estimator.class_log_prior_[label]) == pytest.approx(of_class.mean())


def test_rows_in_parts_are_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit("naive_bayes", TRAIN, VALID)
    at_once = model.predict(VALID)
    monkeypatch.setattr("aitm_kedro.learning.one_hot.ROWS_AT_ONCE", 33)
    np.testing.assert_allclose(model.predict(VALID), at_once, rtol=1e-6)
