from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import OptimizeResult, minimize
from sklearn.linear_model import LogisticRegression
from tests.learning.data import fit, specs_of

from aitm_kedro.core.checksums import seal
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.oracle import align_truth
from aitm_kedro.learning.logistic import LogisticModel, _minimise, _Rows
from aitm_kedro.learning.one_hot import encode, one_hot
from aitm_kedro.learning.registry import load_trained
from aitm_kedro.learning.tensors import write_tensors

SIZES = (5, 9)
FEATURES = specs_of(SIZES, lists=(4, 3), names=("a", "b", "tags", "shops"))


def _train(train: Examples, valid: Examples, **options: object) -> LogisticModel:
    features = [feature for feature in FEATURES if feature.name in train.fields]
    return fit("logistic", train, valid, features=features, options=options)


def _examples(rows: int, seed: int) -> Examples:
    random = np.random.default_rng(seed)
    ids = np.stack([random.integers(size, size=rows) for size in SIZES], axis=1).astype(np.int32)
    click = random.random(rows) < 1 / (1 + np.exp(-(ids[:, 0] - 0.3 * ids[:, 1])))
    labels = np.stack([click, click & (random.random(rows) < 0.5)], axis=1).astype(np.uint8)
    return Examples(ids=ids, labels=labels, fields=("a", "b"), steps=("click", "buy"), impression_id=np.arange(rows))


def _dense(ids: np.ndarray) -> np.ndarray:
    x = np.zeros((len(ids), sum(SIZES)))
    for row, (a, b) in enumerate(ids):
        x[row, a] = x[row, SIZES[0] + b] = 1
    return x


def test_one_hot() -> None:
    examples = _examples(50, 0)
    assert np.array_equal(one_hot(examples.ids, SIZES).toarray(), _dense(examples.ids))


def test_against_a_dense_reference() -> None:
    train, valid = _examples(800, 0), _examples(300, 1)
    model = _train(train, valid, inverse_l2=(0.3,))
    x, predictions = _dense(train.ids), model.predict(valid)
    for t in range(2):
        sign = 2.0 * train.labels[:, t] - 1

        def objective(w: np.ndarray, sign: np.ndarray = sign) -> float:
            return 0.3 * np.logaddexp(0, -sign * (x @ w[:-1] + w[-1])).sum() + 0.5 * w[:-1] @ w[:-1]

        w = minimize(objective, np.zeros(x.shape[1] + 1), method="BFGS").x
        expected = 1 / (1 + np.exp(-(_dense(valid.ids) @ w[:-1] + w[-1])))
        assert np.allclose(predictions[:, t], expected, atol=2e-3)
    assert predictions.dtype == np.float32
    assert {step: chosen["inverse_l2"] for step, chosen in model.history.chosen.items()} == {"click": 0.3, "buy": 0.3}


def test_validation_chooses() -> None:
    train, valid = _examples(300, 0), _examples(300, 1)
    model = _train(train, valid, inverse_l2=(1.0, 1e-4, 0.01))
    predictions = model.predict(valid)
    for t, step in enumerate(train.steps):
        tried = model.history.chosen[step]["valid_auc"]
        assert next(iter(tried)) == "0.0001"
        assert auc(valid.labels[:, t], predictions[:, t]) == pytest.approx(max(tried.values()), abs=1e-6)


def test_a_solver_that_did_not_converge_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    train, valid = _examples(300, 0), _examples(300, 1)
    capped, free = (_train(train, valid, inverse_l2=(0.1,), max_iterations=n).history for n in (1, 200))
    assert {chosen["stopped_by"] for chosen in capped.chosen.values()} == {"max_iterations"}
    assert {chosen["stopped_by"] for chosen in free.chosen.values()} == {"convergence"}
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warned == [
        "'logistic' may not have finished learning click, buy: its solver has not converged in 1 iterations; raise "
        "logistic.max_iterations."
    ]


def test_a_step_that_validation_cannot_score_still_gets_a_model() -> None:
    train, valid = _examples(300, 0), _examples(300, 1)
    nothing = replace(valid, labels=np.zeros_like(valid.labels))
    model = _train(train, nothing)
    assert model.history.chosen["buy"]["inverse_l2"] == 0.001
    assert np.isfinite(model.predict(valid)).all()


def test_bad_input(tmp_path: Path) -> None:
    train, valid = _examples(300, 0), _examples(300, 1)
    with pytest.raises(InputError, match="'click' has a single class among the 300 train rows"):
        _train(replace(train, labels=np.ones_like(train.labels)), valid)
    model = _train(train, valid, inverse_l2=(0.1,))
    with pytest.raises(InputError, match="the examples have id 9 of 'b'"):
        model.predict(replace(valid, ids=np.full_like(valid.ids, 9) * np.array([0, 1], np.int32)))
    model.save(tmp_path / "model")
    write_tensors(tmp_path / "model", {"intercepts": np.zeros(2)})
    seal(tmp_path / "model")
    with pytest.raises(InputError, match=r"the weights of 'logistic' lack tensors \['coefficients'\]"):
        load_trained(tmp_path / "model")


def test_truth_is_aligned_by_impression() -> None:
    import pyarrow as pa

    table = pa.table({"impression_id": [5, 3, 9, 1], "oracle_click": [0.5, 0.3, 0.9, 0.1]})
    batches = table.to_batches(max_chunksize=3)
    assert np.array_equal(align_truth(batches, np.array([1, 5, 9]), steps=["click"]), [[0.1], [0.5], [0.9]])
    assert align_truth(table.slice(0, 0).to_batches(), np.array([1]), steps=["click"]) is None
    with pytest.raises(InputError, match="no probability for 1 of 2 test examples"):
        align_truth(batches, np.array([1, 2]), steps=["click"])


def _with_lists(rows: int, seed: int) -> Examples:
    """A list field with weights, some of them 0, and one without; clicks follow the share of id 1 of the first."""
    examples, random = _examples(rows, seed), np.random.default_rng(seed)
    lists = {}
    for name, size, weighted in (("tags", 4, True), ("shops", 3, False)):
        offsets = np.concatenate([[0], random.integers(1, 4, rows).cumsum()])
        weights = random.integers(3, size=offsets[-1]).astype(np.float32) if weighted else None
        lists[name] = Ragged(offsets, random.integers(size, size=offsets[-1]).astype(np.int32), weights)
    examples = replace(examples, fields=("a", "b", "tags", "shops"), lists=lists)
    click = random.random(rows) < 0.1 + 0.8 * _dense_lists(examples)[:, 14 + 1]
    return replace(examples, labels=np.stack([click, click & (random.random(rows) < 0.5)], axis=1).astype(np.uint8))


def _dense_lists(examples: Examples) -> np.ndarray:
    parts = [_dense(examples.ids)]
    for lists, size in zip(examples.lists.values(), (4, 3), strict=True):
        x = np.zeros((len(examples), size))
        for row, (start, stop) in enumerate(pairwise(lists.offsets)):
            weights = np.ones(stop - start) if lists.weights is None else lists.weights[start:stop]
            weights = weights if weights.sum() else np.ones(stop - start)
            for one, weight in zip(lists.values[start:stop], weights, strict=True):
                x[row, one] += weight / weights.sum()
        parts.append(x)
    return np.hstack(parts)


def test_a_list_is_the_shares_of_its_ids() -> None:
    examples = _with_lists(60, 0)
    expected = _dense_lists(examples)
    for rows in (slice(None), slice(10, 35), slice(50, 1000)):
        found = encode(examples, (*SIZES, 4, 3), rows)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.toarray(), expected[rows], rtol=1e-6)
    alone = examples.of_fields(["tags", "shops"])
    np.testing.assert_allclose(encode(alone, (4, 3)).toarray(), expected[:, 14:], rtol=1e-6)


def test_lists_are_learnt_from_and_predicted_from(monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid = _with_lists(1500, 0), _with_lists(600, 1)
    model = _train(train, valid, inverse_l2=(1.0,))
    predictions = model.predict(valid)
    assert auc(valid.labels[:, 0], predictions[:, 0]) > 0.75
    w, bias = model.coefficients.astype(float), model.intercepts
    np.testing.assert_allclose(predictions, 1 / (1 + np.exp(-(_dense_lists(valid) @ w.T + bias))), rtol=1e-5)
    monkeypatch.setattr("aitm_kedro.learning.one_hot.ROWS_AT_ONCE", 77)
    np.testing.assert_allclose(model.predict(valid), predictions, rtol=1e-6)
    alone = [part.of_fields(["tags", "shops"]) for part in (train, valid)]
    model = _train(*alone, inverse_l2=(1.0,))
    assert auc(valid.labels[:, 0], model.predict(alone[1])[:, 0]) > 0.75


@pytest.mark.parametrize("inverse_l2", [0.03, 3.0])
def test_with_lists_it_is_the_regression_of_scikit_learn(inverse_l2: float) -> None:
    train, valid = _with_lists(1500, 0), _with_lists(400, 1)
    model = _train(train, valid, inverse_l2=(inverse_l2,))
    x, predictions = _dense_lists(train), model.predict(valid)
    for t in range(2):
        sign = 2.0 * train.labels[:, t] - 1

        def objective(w: np.ndarray, intercept: float, sign: np.ndarray = sign) -> float:
            return inverse_l2 * np.logaddexp(0, -sign * (x @ w + intercept)).sum() + 0.5 * w @ w

        theirs = LogisticRegression(C=inverse_l2, solver="lbfgs", tol=1e-8, max_iter=5000).fit(x, train.labels[:, t])
        least = objective(theirs.coef_[0], theirs.intercept_[0])
        ours = model.coefficients[t].astype(float), float(model.intercepts[t])
        assert objective(*ours) == pytest.approx(least, rel=1e-4)
        np.testing.assert_allclose(predictions[:, t], theirs.predict_proba(_dense_lists(valid))[:, 1], atol=2e-3)


@pytest.mark.parametrize("inverse_l2", [0.03, 3.0])
def test_with_row_weights_it_is_the_regression_of_scikit_learn(inverse_l2: float) -> None:
    train, valid = _with_lists(1500, 0), _with_lists(400, 1)
    weights = np.random.default_rng(2).choice([0, 0.5, 1, 4], len(train)).astype(np.float32)
    model = _train(replace(train, row_weights=weights), valid, inverse_l2=(inverse_l2,))
    predictions = model.predict(valid)
    for t in range(2):
        theirs = LogisticRegression(C=inverse_l2, solver="lbfgs", tol=1e-8, max_iter=5000)
        theirs.fit(_dense_lists(train), train.labels[:, t], sample_weight=weights)
        np.testing.assert_allclose(predictions[:, t], theirs.predict_proba(_dense_lists(valid))[:, 1], atol=3e-3)


def test_columns_are_scaled_by_the_squares_of_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is their curvature. How many values a column has says the same of ones alone, not of shares."""
    starts = []

    def stay(objective: object, start: np.ndarray, **_: object) -> OptimizeResult:
        starts.append(start)
        return OptimizeResult(x=start, nit=0)

    monkeypatch.setattr("scipy.optimize.minimize", stay)
    x = sparse.random(300, 9, density=0.3, format="csr", dtype=np.float32, random_state=0)
    y = np.arange(300) % 3 == 0
    _minimise(_Rows(x, y, None), np.ones(10), y.mean(), inverse_l2=0.3, max_iterations=1)
    squares = np.append(np.square(x.toarray().astype(float)).sum(axis=0), 300)
    np.testing.assert_allclose(starts[0], np.sqrt(0.3 * (1 / 3) * (2 / 3) * squares + 1), rtol=1e-6)


def test_contributions_of_fields_sum_up_to_the_log_odds() -> None:
    train, valid = (_with_lists(rows, seed) for rows, seed in ((500, 0), (100, 1)))
    model = _train(train, valid)
    added = dict(model.contributions(valid))
    assert tuple(added) == valid.fields
    log_odds = sum(added.values()) + model.intercepts
    assert model.predict(valid) == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-6)
