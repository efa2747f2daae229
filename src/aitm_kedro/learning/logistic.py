"""Logistic regression on one-hot ids, one model a step: the yardstick that every table carries."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field, PositiveFloat
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.parallel import cores
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.description import Description, check_fits, check_ids, describe
from aitm_kedro.learning.weights import Weights

# N = examples, F = fields, T = steps, R = ids of all fields

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 262_144
TOLERANCE = 1e-6
"""Relative gain of an iteration of the solver below which it stops."""


class LogisticOptions(Parameters):
    """One-hot logistic regression, the yardstick."""

    inverse_l2: tuple[PositiveFloat, ...] = Field(
        (0.03, 0.1, 0.3, 1.0), min_length=1, description="C; validation chooses"
    )
    max_iterations: int = Field(200, ge=1)


def one_hot(ids: np.ndarray, vocabulary_sizes: Sequence[int]) -> sparse.csr_matrix:
    """One column for each id of each field.

    Args:
        ids: int32 [N, F], each field counting from 0.
        vocabulary_sizes: ids of each of the F fields.

    Returns:
        float32 CSR [N, R] with F ones a row.
    """
    rows, fields = ids.shape
    starts = np.array([0, *accumulate(vocabulary_sizes)], np.int64)
    index = np.int32 if max(starts[-1], rows * fields) < 2**31 else np.int64
    columns = (ids + starts[:-1].astype(index)).ravel()
    bounds = np.arange(rows + 1, dtype=index) * fields
    return sparse.csr_matrix((np.ones(rows * fields, np.float32), columns, bounds), shape=(rows, int(starts[-1])))


def encode(examples: Examples, vocabulary_sizes: Sequence[int], rows: slice = slice(None)) -> sparse.csr_matrix:
    """Some rows as one column for each id of each field; a list has the shares of its ids.

    Returns:
        float32 CSR [n, R].
    """
    single = len(examples.single_fields)
    parts = [one_hot(examples.ids[rows], vocabulary_sizes[:single])]
    for lists, size in zip(examples.lists.values(), vocabulary_sizes[single:], strict=True):
        taken = lists.take(np.arange(len(examples))[rows])
        parts.append(sparse.csr_matrix((taken.shares(), taken.values, taken.offsets), shape=(len(taken), size)))
    return parts[0] if len(parts) == 1 else sparse.hstack(parts, format="csr", dtype=np.float32)


def train_logistic(
    train: Examples, valid: Examples, *, vocabulary_sizes: Sequence[int], options: LogisticOptions
) -> tuple[Weights, dict[str, Any]]:
    """Fit one logistic regression a step; the L2 that scores best in validation is kept.

    Strengths are tried from the strongest on, each starting from the solution before, until the validation AUC falls.

    Args:
        train: what to learn from.
        valid: what chooses C.
        vocabulary_sizes: ids of each field, id 0 included.
        options: values of C to try.

    Returns:
        Weights with ``coefficients`` [T, R] and ``intercepts`` [T], and the history.

    Raises:
        InputError: a step has a single class in train.
    """
    _check_classes(train)
    for examples in (train, valid):
        check_ids(examples, vocabulary_sizes)
    start = perf_counter()
    x, x_valid = encode(train, vocabulary_sizes), encode(valid, vocabulary_sizes)

    def fit(t: int) -> _Fit:
        fitted = _fit_step(x, train.labels[:, t], x_valid, valid.labels[:, t], options=options)
        logger.info("logistic, %s: validation AUC by C %s", train.steps[t], fitted.aucs)
        return fitted

    with ThreadPoolExecutor(max_workers=cores()) as pool:  # sparse products run outside the interpreter's lock
        fits = list(pool.map(fit, range(len(train.steps))))
    seconds = perf_counter() - start
    description = describe(
        "logistic", options=options, steps=train.steps, fields=train.fields, vocabulary_sizes=vocabulary_sizes
    )
    tensors = {
        "coefficients": np.stack([fit.coefficients for fit in fits]),
        "intercepts": np.array([fit.intercept for fit in fits], np.float32),
    }
    history = {
        "model": "logistic",
        "validations": [],
        "inverse_l2": {step: fit.inverse_l2 for step, fit in zip(train.steps, fits, strict=True)},
        "valid_auc": {step: fit.aucs for step, fit in zip(train.steps, fits, strict=True)},
        "seconds": round(seconds, 3),
        "rows_per_second": round(len(train) / seconds, 1),
        "device": "cpu",
        "precision": "float32",
        "parameters": sum(tensor.size for tensor in tensors.values()),
        "train_rows": len(train),
        "valid_rows": len(valid),
    }
    return Weights(tensors=tensors, metadata=description.to_metadata()), history


def predict_with_logistic(weights: Weights, examples: Examples) -> np.ndarray:
    """Predictions of every step, float32 [N, T].

    Raises:
        InputError: the weights are damaged, or were trained on other fields or steps than the examples have.
    """
    check_fits(weights, examples)
    description = Description.from_metadata(weights)
    coefficients, intercepts = _tensors(weights, description)
    result = np.empty((len(examples), len(examples.steps)), np.float32)
    by_id = np.ascontiguousarray(coefficients.T)  # [R, T]
    for start in range(0, len(examples), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        result[rows] = expit(encode(examples, description.vocabulary_sizes, rows) @ by_id + intercepts)
    return result


class _Fit(NamedTuple):
    """A step's regression: coefficients [R], and the validation AUC of every C tried, by its text."""

    coefficients: np.ndarray
    intercept: float
    inverse_l2: float
    aucs: dict[str, float | None]


def _fit_step(
    x: sparse.csr_matrix, y: np.ndarray, x_valid: sparse.csr_matrix, y_valid: np.ndarray, *, options: LogisticOptions
) -> _Fit:
    rate = y.mean(dtype=np.float64)
    solution = np.append(np.zeros(x.shape[1]), np.log(rate / (1 - rate)))  # coefficients, then the intercept
    best: _Fit | None = None
    aucs: dict[str, float | None] = {}
    for inverse_l2 in sorted(options.inverse_l2):
        solution = _minimise(x, y, solution, inverse_l2=inverse_l2, max_iterations=options.max_iterations)
        coefficients = solution[:-1].astype(np.float32)
        score = aucs[f"{inverse_l2:g}"] = auc(y_valid, x_valid @ coefficients)
        if best is not None and (score is None or score <= (best.aucs[f"{best.inverse_l2:g}"] or 0)):
            break
        best = _Fit(coefficients, float(solution[-1]), inverse_l2, aucs)
    assert best is not None  # options.inverse_l2 is never empty
    return best


def _minimise(
    x: sparse.csr_matrix, y: np.ndarray, start: np.ndarray, *, inverse_l2: float, max_iterations: int
) -> np.ndarray:
    """Minimum of C * sum of cross-entropies + 1/2 |w|^2, without penalty on the intercept.

    This is scikit-learn's objective and its L-BFGS, in coordinates scaled by the curvature of each column: counts of
    ids differ by orders of magnitude, and without the scaling the solver needs ten times as many sweeps.
    """
    rate = y.mean(dtype=np.float64)
    squares = np.bincount(x.indices, weights=np.square(x.data, dtype=np.float64), minlength=x.shape[1])
    counts = np.append(squares, len(y))
    scale = np.sqrt(inverse_l2 * rate * (1 - rate) * counts + 1)  # [R + 1]

    def objective(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        w = scaled / scale
        logits = (x @ w[:-1].astype(np.float32)).astype(np.float64) + w[-1]
        residual = expit(logits) - y
        value = inverse_l2 * float((np.logaddexp(0, logits) - y * logits).sum()) + 0.5 * float(w[:-1] @ w[:-1])
        slope = np.append(x.T @ residual.astype(np.float32), residual.sum()) * inverse_l2
        slope[:-1] += w[:-1]
        return value, slope / scale

    options = {"maxiter": max_iterations, "ftol": TOLERANCE, "gtol": 0.0}
    found = minimize(objective, start * scale, jac=True, method="L-BFGS-B", options=options)
    if found.nit >= max_iterations:
        logger.warning("C %g: no convergence in %d iterations (logistic.max_iterations)", inverse_l2, max_iterations)
    return np.asarray(found.x / scale)


def _check_classes(train: Examples) -> None:
    for step in train.steps_of_one_class():
        raise InputError(
            f"'{step}' has a single class among the {len(train)} train rows; take it out of funnel.steps or train on "
            f"more rows"
        )


def _tensors(weights: Weights, description: Description) -> tuple[np.ndarray, np.ndarray]:
    steps, ids = len(description.steps), sum(description.vocabulary_sizes)
    for name, shape in (("coefficients", (steps, ids)), ("intercepts", (steps,))):
        found = weights.tensors[name].shape if name in weights.tensors else None
        if found != shape:
            raise InputError(
                f"tensor '{name}' in the weights of 'logistic' has shape {found} instead of {shape}; train the model "
                f"again"
            )
    return weights.tensors["coefficients"], weights.tensors["intercepts"]
