"""Ensembles: a weighted mean of the log-odds that other runs' models give to each step.

Models of different kinds are wrong in different ways, and the mean of their log-odds ranks better than each of them
(a logarithmic opinion pool, Genest & Zidek 1986, https://doi.org/10.1214/ss/1177013825). The weights of a step are at
least 0 and sum up to 1. Where validation finds them, it does so on rows that stopped none of the models, and a penalty
pulls them towards equal ones, the more, the fewer positives there are to tell the models apart.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.core.provenance import Result, fingerprint_of
from aitm_kedro.learning.history import History
from aitm_kedro.learning.learner import Learner, ModelSpec, Trained, read_json

# N = examples, T = steps, M = members

logger = logging.getLogger(__name__)

BLEND_FILE = "blend.json"

CLIP = 1e-7
"""Probabilities of members count as at least this, and at most 1 minus this."""

ROWS_AT_ONCE = 262_144

SHRINKAGE = 100.0
"""Of the penalty, SHRINKAGE / 2 * |w - 1/M|^2 beside the sum of the rows' log losses."""

DIGITS = 4
"""Of a weight."""

FOLDS = 5
"""Of the rows that give the weights, when each is judged by weights that others gave."""


class EnsembleOptions(Parameters):
    """A blend of runs."""

    members: tuple[str, ...] = Field(
        ("aitm", "mmoe", "lightgbm", "logistic"), min_length=1, description="runs, which are trained as they are"
    )
    weights: Literal["validation", "equal"] = Field(
        "validation", description="validation: found for each step on rows that stopped no training"
    )
    seeds: Literal["same", "all"] = Field(
        "same", description="of the members: same: the ensemble's own seed; all: every seed that runs beside it"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        twice = sorted({name for name in self.members if self.members.count(name) > 1})
        if twice:
            raise ValueError(f"members names {twice} more than once; a run counts more by its weight")
        if len(self.members) == 1 and self.seeds == "same":
            raise ValueError(f"members names '{self.members[0]}' alone; name another run, or set seeds to all")
        return self


class Member(NamedTuple):
    """A model that is blended.

    Attributes:
        name: of its run and seed, such as "aitm.seed0".
        trained: the model.
    """

    name: str
    trained: Trained


def fingerprint_of_members(members: Sequence[Member]) -> str:
    """Twelve hexadecimal digits that differ where a member, or its model, does."""
    return fingerprint_of_models({member.name: member.trained.fingerprint() for member in members})


def fingerprint_of_models(fingerprints: Mapping[str, str]) -> str:
    """The same, by the fingerprint of each member's model."""
    return fingerprint_of(_Models(models=dict(fingerprints)))


class _Models(Result):
    """What is blended."""

    models: dict[str, str]


class Blend(Result):
    """Weights of the members.

    Attributes:
        members: their names.
        weights: step -> weight of each member.
    """

    members: tuple[str, ...]
    weights: dict[str, tuple[float, ...]]


class Ensemble(Learner):
    """Weighs the models of other runs; nothing else is learnt.

    ``ensemble`` makes one that can read the models that it saves.
    """

    Options: ClassVar[type[Parameters]] = EnsembleOptions
    options: EnsembleOptions
    blends = True
    read_member: ClassVar[Callable[[Path], Trained]]

    def fit(
        self,
        train: Examples,
        valid: Examples,
        *,
        features: Sequence[FeatureSpec],
        funnel: Funnel,
        seed: int,
        members: Sequence[Member] = (),
    ) -> "EnsembleModel":
        """Find the weights.

        Args:
            train: what the members learnt from; only its steps and vocabulary are read.
            valid: what gives the weights: rows that stopped none of the members.
            features: specs of the fields, in their order.
            funnel: the steps.
            seed: of the ensemble; nothing is drawn.
            members: the models.

        Raises:
            InputError: there is no member, or a step has a single class in ``valid``, so that nothing tells weights.
        """
        if not members:
            raise InputError(f"'{self.name}' blends the models of other runs, and was given none")
        start = perf_counter()
        log_odds = np.stack([_log_odds(member.trained.predict(valid)) for member in members])  # [M, N, T]
        equal = np.full(len(members), 1 / len(members))
        if self.options.weights == "validation":
            self._check_classes(valid)
            weights = np.stack([find_weights(*_of_step(valid, log_odds, t)) for t in range(len(valid.steps))])
        else:
            weights = np.tile(equal, (len(valid.steps), 1))
        names = [member.name for member in members]
        shown = {
            step: dict(zip(names, found.tolist(), strict=True))
            for step, found in zip(valid.steps, weights, strict=True)
        }
        for step, of_members in shown.items():
            logger.info("%s, %s: weights %s", self.name, step, of_members)
        seconds = perf_counter() - start
        history = History(
            chosen={step: {"weights": of_members} for step, of_members in shown.items()},
            seconds=round(seconds, 3),
            rows_per_second=round(len(valid) / max(seconds, 1e-9), 1),
            parameters=weights.size if self.options.weights == "validation" else 0,
            train_rows=len(train),
            valid_rows=len(valid),
        )
        return EnsembleModel(self.spec(train, features), history, members, weights)

    def predict_held_out(self, valid: Examples, members: Sequence[Member]) -> np.ndarray:
        """Probabilities [N, T] of the rows that gave the weights, each by weights that other rows gave (cross-fitting).

        Rows are dealt out to ``FOLDS`` folds in turn, so that each has rows of all times.
        """
        log_odds = np.stack([_log_odds(member.trained.predict(valid)) for member in members])
        blended = log_odds.mean(axis=0)
        if self.options.weights == "validation":
            fold = np.arange(len(valid)) % FOLDS
            for t in range(len(valid.steps)):
                for held_out in (fold == k for k in range(FOLDS)):
                    others = valid.take(np.flatnonzero(~held_out))
                    if valid.steps[t] in others.steps_of_one_class():
                        continue
                    weights = find_weights(*_of_step(others, log_odds[:, ~held_out], t))
                    blended[held_out, t] = weights @ log_odds[:, held_out, t]
        return _probabilities(blended)

    @classmethod
    def load(cls, folder: Path, spec: ModelSpec, history: History) -> "EnsembleModel":
        """Read the weights and the models of all members."""
        blend = read_json(folder / BLEND_FILE, Blend.model_validate_json)
        members = [Member(name, cls.read_member(folder / name)) for name in blend.members]
        return EnsembleModel(spec, history, members, _weights_of(blend, spec.steps, name=spec.model))

    def _check_classes(self, valid: Examples) -> None:
        for step in valid.steps_of_one_class():
            raise InputError(
                f"validation has a single class of '{step}' among the {len(valid)} rows that weigh the members of "
                f"'{self.name}', so nothing tells which of them is better; give split more validation rows, or set the "
                "option weights to equal"
            )


def ensemble(read_member: Callable[[Path], Trained]) -> type[Ensemble]:
    """The learner of ensembles.

    Args:
        read_member: reads the model of a member from the folder that it was saved in.
    """
    return type("Ensemble", (Ensemble,), {"read_member": staticmethod(read_member)})


class EnsembleModel(Trained):
    """The models of all members, and their weights.

    Attributes:
        members: in the order of the weights.
        weights: float64 [T, M], at least 0; those of a step sum up to 1.
    """

    def __init__(self, spec: ModelSpec, history: History, members: Sequence[Member], weights: np.ndarray) -> None:
        super().__init__(spec, history)
        self.members, self.weights = tuple(members), weights

    def place(self, *, device: str = "auto", threads: int | None = None) -> Self:
        """Say where members predict that have a choice."""
        for member in self.members:
            member.trained.place(device=device, threads=threads)
        return self

    def _predict(self, examples: Examples) -> np.ndarray:
        blended = np.zeros((len(examples), len(self.spec.steps)))
        for member, of_steps in zip(self.members, self.weights.T, strict=True):
            probabilities = member.trained.predict(examples)
            for start in range(0, len(examples), ROWS_AT_ONCE):
                rows = slice(start, start + ROWS_AT_ONCE)
                blended[rows] += _log_odds(probabilities[rows]) * of_steps
        return _probabilities(blended)

    def _save(self, folder: Path) -> None:
        for member in self.members:
            member.trained.save(folder / member.name)
        weights = {step: tuple(found) for step, found in zip(self.spec.steps, self.weights.tolist(), strict=True)}
        blend = Blend(members=tuple(member.name for member in self.members), weights=weights)
        (folder / BLEND_FILE).write_text(blend.model_dump_json(indent=2))


def find_weights(labels: np.ndarray, log_odds: np.ndarray, row_weights: np.ndarray | None = None) -> np.ndarray:
    """Weights of one step that minimise the log loss of the blend, after the best shift, and the penalty.

        sum_i c_i CE(y_i, sigmoid(sum_m w_m l_im + b)) + SHRINKAGE / 2 |w - 1/M|^2,   w >= 0, sum w = 1

    Args:
        labels: 0 or 1, [N], both of them present.
        log_odds: l, of every member, [M, N].
        row_weights: c, scaled to a mean of 1, [N]; None: all alike.

    Returns:
        w, float64 [M].
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    count = len(log_odds)
    counts = np.ones(len(labels)) if row_weights is None else row_weights / row_weights.mean()
    equal = np.full(count, 1 / count)

    def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
        weights, shift = point[:-1], point[-1]
        blended = weights @ log_odds + shift
        residual = counts * (expit(blended) - labels)
        away = weights - equal
        loss = float(counts @ (np.logaddexp(0, blended) - labels * blended)) + SHRINKAGE / 2 * float(away @ away)
        slope = np.append(log_odds @ residual + SHRINKAGE * away, residual.sum())
        return loss / len(labels), slope / len(labels)

    found = minimize(
        objective,
        np.append(equal, 0.0),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count + [(None, None)],
        constraints={
            "type": "eq",
            "fun": lambda point: point[:-1].sum() - 1,
            "jac": lambda _: np.append(np.ones(count), 0.0),
        },
        options={"ftol": 1e-9, "maxiter": 200},
    )
    # What is used is what is shown; further digits would depend on how the machine adds.
    weights = np.round(np.clip(found.x[:-1], 0, 1), DIGITS)
    weights[weights.argmax()] += 1 - weights.sum()
    return np.asarray(weights)


def _weights_of(blend: Blend, steps: Sequence[str], *, name: str) -> np.ndarray:
    """Weights [T, M]."""
    shape = {len(blend.weights.get(step, ())) for step in steps}
    if shape != {len(blend.members)}:
        raise InputError(
            f"the weights of '{name}' are of other steps or members than {', '.join(steps)} and "
            f"{', '.join(blend.members)}; train the model again"
        )
    return np.array([blend.weights[step] for step in steps])


def _of_step(valid: Examples, log_odds: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """What ``find_weights`` takes, of one step; rows that do not count are left out."""
    if valid.row_weights is None:
        return valid.labels[:, t], log_odds[:, :, t], None
    counts = valid.row_weights > 0
    return valid.labels[counts, t], log_odds[:, counts, t], valid.row_weights[counts].astype(np.float64)


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Float64, of clipped probabilities."""
    clipped = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _probabilities(log_odds: np.ndarray) -> np.ndarray:
    """Float32 [N, T], in which no step is likelier than the one before.

    The order is restored here, before the downsampling is undone, which then keeps it; members that predict each step
    by itself may break it.
    """
    from scipy.special import expit

    return np.minimum.accumulate(expit(log_odds), axis=1).astype(np.float32)
