"""Logistic regression on one-hot ids, one model a step: the plain baseline that a network should beat."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field, PositiveFloat

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec, sizes_of
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parallel import cores
from aitm_kedro.core.parameters import BY_PRESET, Parameters, PresetParameters
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.history import History
from aitm_kedro.learning.learner import Learner, ModelSpec, Trained, check_fits, check_ids, step_weights
from aitm_kedro.learning.parameters import Preset
from aitm_kedro.learning.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from scipy import sparse

# N = examples, F = fields, T = steps, R = ids of all fields. SciPy is imported where it is used, see ``learner``.

logger = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""Relative gain of an iteration of the solver below which it stops."""


class LogisticOptions(PresetParameters):
    """One-hot logistic regression; the preset ``tuned`` tries stronger L2, too. The paper has no such model."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "tuned": {"inverse_l2": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)},
        "paper": {"inverse_l2": (0.03, 0.1, 0.3, 1.0)},
    }

    preset: Preset = "tuned"
    inverse_l2: tuple[PositiveFloat, ...] = Field(BY_PRESET, min_length=1, description="C; validation chooses")
    max_iterations: int = Field(200, ge=1)


class Logistic(Learner):
    """One logistic regression a step; the L2 that scores best in validation is kept.

    Strengths are tried from the strongest on, each starting from the solution before, until the validation AUC falls.
    """

    Options: ClassVar[type[Parameters]] = LogisticOptions
    options: LogisticOptions
    deterministic = True

    def fit(
        self, train: Examples, valid: Examples, *, features: Sequence[FeatureSpec], funnel: Funnel, seed: int
    ) -> Trained:
        """Fit every step.

        Raises:
            InputError: a step has a single class in train.
        """
        from aitm_kedro.learning.one_hot import encode

        _check_classes(train)
        for examples in (train, valid):
            check_ids(examples, features)
        start = perf_counter()
        x, x_valid = (encode(examples, sizes_of(features)) for examples in (train, valid))

        def fit_step(t: int) -> _Fit:
            weights = step_weights(train, train.steps[t], self.training)
            rows, judged = _Rows(x, train.labels[:, t], weights), _Rows(x_valid, valid.labels[:, t], valid.row_weights)
            fitted = _fit_step(rows, judged, options=self.options)
            logger.info("%s, %s: validation AUC by C %s", self.name, train.steps[t], fitted.aucs)
            return fitted

        with ThreadPoolExecutor(max_workers=cores()) as pool:  # sparse products run outside the interpreter's lock
            fits = list(pool.map(fit_step, range(len(train.steps))))
        unfinished = [step for step, fit in zip(train.steps, fits, strict=True) if not fit.converged]
        if unfinished:
            logger.warning(
                f"'{self.name}' may not have finished learning {', '.join(unfinished)}: its solver has not converged "
                f"in {self.options.max_iterations} iterations; raise {self.name}.max_iterations."
            )
        coefficients = np.stack([fit.coefficients for fit in fits])
        intercepts = np.array([fit.intercept for fit in fits], np.float32)
        seconds = perf_counter() - start
        steps = zip(train.steps, fits, strict=True)
        history = History(
            chosen={
                step: {"inverse_l2": fit.inverse_l2, "stopped_by": fit.stopped_by, "valid_auc": fit.aucs}
                for step, fit in steps
            },
            seconds=round(seconds, 3),
            rows_per_second=round(len(train) / seconds, 1),
            parameters=coefficients.size + intercepts.size,
            train_rows=len(train),
            valid_rows=len(valid),
        )
        return LogisticModel(self.spec(train, features), history, coefficients, intercepts)

    @classmethod
    def load(cls, folder: Path, spec: ModelSpec, history: History) -> Trained:
        """Read the model."""
        steps, ids = len(spec.steps), sum(sizes_of(spec.features))
        shapes = {"coefficients": (steps, ids), "intercepts": (steps,)}
        return LogisticModel(spec, history, **read_tensors(folder, shapes, model=spec.model))


class LogisticModel(Trained):
    """A linear model of one-hot ids.

    Attributes:
        coefficients: float32 [T, R].
        intercepts: float32 [T].
    """

    def __init__(self, spec: ModelSpec, history: History, coefficients: np.ndarray, intercepts: np.ndarray) -> None:
        super().__init__(spec, history)
        self.coefficients, self.intercepts = coefficients, intercepts

    def _predict(self, examples: Examples) -> np.ndarray:
        from scipy.special import expit

        from aitm_kedro.learning.one_hot import ROWS_AT_ONCE, encode

        result = np.empty((len(examples), len(self.spec.steps)), np.float32)
        by_id = np.ascontiguousarray(self.coefficients.T)  # [R, T]
        for start in range(0, len(examples), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            result[rows] = expit(encode(examples, sizes_of(self.spec.features), rows) @ by_id + self.intercepts)
        return result

    def contributions(self, examples: Examples) -> Iterator[tuple[str, np.ndarray]]:
        """What each field adds to the log-odds of every step, float32 [N, T]; on top come the intercepts."""
        from aitm_kedro.learning.one_hot import encode

        check_fits(self.spec, examples)
        sizes = sizes_of(self.spec.features)
        ends = list(accumulate(sizes))
        for name, size, end in zip(examples.fields, sizes, ends, strict=True):
            coefficients = np.ascontiguousarray(self.coefficients[:, end - size : end].T)  # [ids, T]
            if name in examples.lists:
                yield name, encode(examples.of_fields([name]), [size]) @ coefficients
            else:
                yield name, coefficients[examples.ids[:, examples.single_fields.index(name)]]

    def _save(self, folder: Path) -> None:
        write_tensors(folder, {"coefficients": self.coefficients, "intercepts": self.intercepts})


class _Rows(NamedTuple):
    """Rows of one step: one-hot [n, R], labels [n], and what each counts [n] or None."""

    x: "sparse.csr_matrix"
    y: np.ndarray
    weights: np.ndarray | None


class _Fit(NamedTuple):
    """A step's regression: coefficients [R], whether they converged, and the validation AUC of each C, by its text."""

    coefficients: np.ndarray
    intercept: float
    inverse_l2: float
    converged: bool
    aucs: dict[str, float | None]

    @property
    def stopped_by(self) -> str:
        """Why the solver went no further."""
        return "convergence" if self.converged else "max_iterations"


def _fit_step(train: _Rows, valid: _Rows, *, options: LogisticOptions) -> _Fit:
    rate = np.average(train.y, weights=train.weights) if train.weights is not None else train.y.mean(dtype=np.float64)
    solution = np.append(np.zeros(train.x.shape[1]), np.log(rate / (1 - rate)))  # coefficients, then the intercept
    best: _Fit | None = None
    aucs: dict[str, float | None] = {}
    for inverse_l2 in sorted(options.inverse_l2):
        solution, converged = _minimise(
            train, solution, rate, inverse_l2=inverse_l2, max_iterations=options.max_iterations
        )
        coefficients = solution[:-1].astype(np.float32)
        score = aucs[f"{inverse_l2:g}"] = auc(valid.y, valid.x @ coefficients, valid.weights)
        if best is not None and (score is None or score <= (best.aucs[f"{best.inverse_l2:g}"] or 0)):
            break
        best = _Fit(coefficients, float(solution[-1]), inverse_l2, converged, aucs)
    assert best is not None  # options.inverse_l2 is never empty
    return best


def _minimise(
    rows: _Rows, start: np.ndarray, rate: float, *, inverse_l2: float, max_iterations: int
) -> tuple[np.ndarray, bool]:
    """Minimum of C * sum of (weighted) cross-entropies + 1/2 |w|^2, without penalty on the intercept; and if it is one.

    This is scikit-learn's objective and its L-BFGS, in coordinates scaled by the curvature of each column: counts of
    ids differ by orders of magnitude, and without the scaling the solver needs ten times as many sweeps.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    x, y, weights = rows
    squares = np.bincount(x.indices, weights=np.square(x.data, dtype=np.float64), minlength=x.shape[1])
    counts = np.append(squares, len(y))
    scale = np.sqrt(inverse_l2 * rate * (1 - rate) * counts + 1)  # [R + 1]

    def objective(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        w = scaled / scale
        logits = (x @ w[:-1].astype(np.float32)).astype(np.float64) + w[-1]
        residual, losses = expit(logits) - y, np.logaddexp(0, logits) - y * logits
        if weights is not None:
            residual, losses = residual * weights, losses * weights
        value = inverse_l2 * float(losses.sum()) + 0.5 * float(w[:-1] @ w[:-1])
        slope = np.append(x.T @ residual.astype(np.float32), residual.sum()) * inverse_l2
        slope[:-1] += w[:-1]
        return value, slope / scale

    options = {"maxiter": max_iterations, "ftol": TOLERANCE, "gtol": 0.0}
    found = minimize(objective, start * scale, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x / scale), found.nit < max_iterations


def _check_classes(train: Examples) -> None:
    for step in train.steps_of_one_class():
        raise InputError(
            f"'{step}' has a single class among the {len(train)} train rows; take it out of funnel.steps or train on "
            f"more rows"
        )
