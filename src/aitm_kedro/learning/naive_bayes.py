"""Naive Bayes of scikit-learn on one-hot ids, one model a step: a worked example of a learner (docs/models.md).

Zhang, "The Optimality of Naive Bayes", FLAIRS 2004; https://scikit-learn.org/stable/modules/naive_bayes.html. It trains
in one pass, ranks well for its price, and its probabilities are too extreme: the features are taken as independent.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec, sizes_of
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.learning.history import History
from aitm_kedro.learning.learner import Learner, ModelSpec, Trained, check_ids, step_weights
from aitm_kedro.learning.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from sklearn.naive_bayes import BernoulliNB

# N = examples, T = steps, R = ids of all fields


class NaiveBayesOptions(Parameters):
    """Bernoulli naive Bayes."""

    smoothing: float = Field(1.0, gt=0, description="added to the count of every id in each class (Laplace)")


class NaiveBayes(Learner):
    """One ``BernoulliNB`` a step; nothing is drawn, and nothing is chosen by validation."""

    Options: ClassVar[type[Parameters]] = NaiveBayesOptions
    options: NaiveBayesOptions
    deterministic = True

    def fit(
        self, train: Examples, valid: Examples, *, features: Sequence[FeatureSpec], funnel: Funnel, seed: int
    ) -> Trained:
        """Fit every step.

        Raises:
            InputError: a step has a single class in train.
        """
        from sklearn.naive_bayes import BernoulliNB

        from aitm_kedro.learning.one_hot import encode

        for step in train.steps_of_one_class():
            raise InputError(f"'{step}' has a single class in train; take it out of funnel.steps or train on more rows")
        check_ids(train, features)
        start = perf_counter()
        x = encode(train, sizes_of(features))
        estimators = [
            BernoulliNB(alpha=self.options.smoothing).fit(
                x, train.labels[:, t], sample_weight=step_weights(train, step, self.training)
            )
            for t, step in enumerate(train.steps)
        ]
        seconds = perf_counter() - start
        history = History(
            seconds=round(seconds, 3),
            rows_per_second=round(len(train) / seconds, 1),
            parameters=sum(estimator.feature_log_prob_.size for estimator in estimators),
            train_rows=len(train),
            valid_rows=len(valid),
        )
        return NaiveBayesModel(self.spec(train, features), history, estimators)

    @classmethod
    def load(cls, folder: Path, spec: ModelSpec, history: History) -> Trained:
        """Read the model."""
        from sklearn.naive_bayes import BernoulliNB

        steps, ids = len(spec.steps), sum(sizes_of(spec.features))
        learnt = read_tensors(folder, {"ids": (steps, 2, ids), "classes": (steps, 2)}, model=spec.model)
        estimators = []
        for of_ids, of_classes in zip(learnt["ids"], learnt["classes"], strict=True):
            estimator = BernoulliNB(alpha=spec.options["smoothing"])
            estimator.classes_, estimator.n_features_in_ = np.array([0, 1]), ids
            estimator.feature_log_prob_, estimator.class_log_prior_ = of_ids, of_classes
            estimators.append(estimator)
        return NaiveBayesModel(spec, history, estimators)


class NaiveBayesModel(Trained):
    """The estimators of the T steps."""

    def __init__(self, spec: ModelSpec, history: History, estimators: "Sequence[BernoulliNB]") -> None:
        super().__init__(spec, history)
        self.estimators = estimators

    def _predict(self, examples: Examples) -> np.ndarray:
        from aitm_kedro.learning.one_hot import ROWS_AT_ONCE, encode

        result = np.empty((len(examples), len(self.spec.steps)), np.float32)
        for start in range(0, len(examples), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            x = encode(examples, sizes_of(self.spec.features), rows)
            for t, estimator in enumerate(self.estimators):
                result[rows, t] = estimator.predict_proba(x)[:, 1]
        return result

    def _save(self, folder: Path) -> None:
        # The two arrays that an estimator has learnt; a pickle would run code when it is read.
        learnt = {
            "ids": np.stack([estimator.feature_log_prob_ for estimator in self.estimators]),
            "classes": np.stack([estimator.class_log_prior_ for estimator in self.estimators]),
        }
        write_tensors(folder, learnt)
