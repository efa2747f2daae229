"""LightGBM: boosted trees, one model a step, on raw numbers and whichever encoding of categories scores better.

Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017,
https://papers.nips.cc/paper/6907; with the preset ``paper``, parameters as in section A.1 of the AITM paper.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple
from urllib.parse import quote

import numpy as np
from pydantic import Field

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parallel import cores
from aitm_kedro.core.parameters import BY_PRESET, Parameters, PresetParameters
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.history import History
from aitm_kedro.learning.learner import Learner, ModelSpec, Trained, check_ids, check_values, step_weights
from aitm_kedro.learning.parameters import Preset, Training

if TYPE_CHECKING:
    import lightgbm as lgb

# N = examples, F = fields, T = steps. The library is imported where it is used, see ``learner``.

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 262_144

Encoding = Literal["native", "ranked"]


class LightGBMOptions(PresetParameters):
    """LightGBM; rounds and patience, of which the paper says nothing, are ours.

    The preset ``paper`` has the paper's parameters (section A.1), and LightGBM's defaults for the rest; ``tuned`` has
    fewer leaves, smaller steps and L2, chosen on validation (docs/accuracy.md).
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "tuned": {"learning_rate": 0.05, "num_leaves": 31, "max_bin": 255, "lambda_l2": 3.0},
        "paper": {"learning_rate": 0.1, "num_leaves": 70, "max_bin": 2000, "lambda_l2": 0.0},
    }

    preset: Preset = "tuned"
    learning_rate: float = Field(BY_PRESET, gt=0)
    num_leaves: int = Field(BY_PRESET, ge=2)
    max_bin: int = Field(BY_PRESET, ge=2)
    lambda_l2: float = Field(BY_PRESET, ge=0, description="of the values of leaves")
    feature_fraction: float = Field(0.9, gt=0, le=1)
    bagging_fraction: float = Field(0.7, gt=0, le=1)
    bagging_freq: int = Field(5, ge=0)
    encodings: tuple[Encoding, ...] = Field(
        ("native", "ranked"),
        min_length=1,
        description="categories as such, or as numbers in order of frequency; validation chooses for each step",
    )
    max_rounds: int = Field(1000, ge=1, description="trees of a step at most")
    patience: int = Field(50, ge=1, description="rounds without a better validation AUC before boosting stops")
    list_values: int = Field(
        20, ge=0, description="most frequent values of a list feature that have a column of their own"
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; null: all cores")


class LightGBM(Learner):
    """Boosted trees of every step; the encoding and the round that score best in validation are kept."""

    Options: ClassVar[type[Parameters]] = LightGBMOptions
    options: LightGBMOptions

    def fit(
        self, train: Examples, valid: Examples, *, features: Sequence[FeatureSpec], funnel: Funnel, seed: int
    ) -> Trained:
        """Boost one model a step with every encoding. The same seed gives the same trees on the same machine.

        Raises:
            InputError: a step has a single class in train or validation, or values of numeric features are missing.
        """
        check_values(train, features, model=self.name)
        for name, examples in (("train", train), ("validation", valid)):
            check_ids(examples, features)
            _check_classes(name, examples, model=self.name)
        start = perf_counter()
        has_categories = set(train.single_fields) != set(train.numeric)
        encodings = self.options.encodings if has_categories else self.options.encodings[:1]
        boosted = [
            fit
            for encoding in encodings
            for fit in _boost_steps(train, valid, self.training, encoding=encoding, options=self.options, seed=seed)
        ]
        by_step = {step: [fit for fit in boosted if fit.step == step] for step in train.steps}
        chosen = {step: max(fits, key=lambda fit: fit.valid_auc) for step, fits in by_step.items()}
        capped = [step for step, fit in chosen.items() if fit.rounds == self.options.max_rounds]
        if capped:
            logger.warning(
                f"'{self.name}' with seed {seed} may not have finished learning {', '.join(capped)}: the last round "
                f"that max_rounds ({self.options.max_rounds}) allows was its best on validation; raise "
                f"{self.name}.max_rounds."
            )
        seconds = perf_counter() - start
        history = History(
            chosen={
                step: {
                    "encoding": fit.encoding,
                    "rounds": fit.rounds,
                    "stopped_by": fit.stopped_by,
                    "valid_auc": {tried.encoding: tried.valid_auc for tried in by_step[step]},
                }
                for step, fit in chosen.items()
            },
            best_epoch=float(np.mean([fit.rounds for fit in chosen.values()])),
            seconds=round(seconds, 3),
            rows_per_second=round(len(train) / seconds, 1),
            precision="float64",
            parameters=sum(fit.leaves for fit in chosen.values()),
            train_rows=len(train),
            valid_rows=len(valid),
        )
        texts = {step: fit.text for step, fit in chosen.items()}
        return LightGBMModel(self.spec(train, features), history, texts)

    @classmethod
    def load(cls, folder: Path, spec: ModelSpec, history: History) -> Trained:
        """Read the model, whose checksums were checked: LightGBM may end the process at a text that is cut short."""
        texts = {step: (folder / _file_name(step)).read_text(errors="replace") for step in spec.steps}
        model = LightGBMModel(spec, history, texts)
        _ = model.boosters  # which complains here, not at the first prediction
        return model


class LightGBMModel(Trained):
    """Trees of every step, as LightGBM's own text, which any LightGBM reads.

    Attributes:
        texts: step -> trees.
    """

    def __init__(self, spec: ModelSpec, history: History, texts: Mapping[str, str]) -> None:
        super().__init__(spec, history)
        self.texts = texts
        self._options = LightGBMOptions.model_validate(spec.options)

    @cached_property
    def boosters(self) -> "list[lgb.Booster]":
        """Trees of every step, in funnel order, ready to predict."""
        return [_booster(self.texts[step], step, model=self.spec.model) for step in self.spec.steps]

    def _predict(self, examples: Examples) -> np.ndarray:
        check_values(examples, self.spec.features, model=self.spec.model)
        boosters = self.boosters
        result = np.empty((len(examples), len(boosters)), np.float32)
        threads = self._options.threads or cores()
        for start in range(0, len(examples), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            x = _matrix(examples, rows, list_values=self._options.list_values)
            for t, booster in enumerate(boosters):
                result[rows, t] = booster.predict(x, num_threads=threads)
        return result

    def _save(self, folder: Path) -> None:
        for step, text in self.texts.items():
            (folder / _file_name(step)).write_text(text)


class _Fit(NamedTuple):
    """One step's model with one encoding."""

    step: str
    encoding: Encoding
    valid_auc: float
    rounds: int
    stopped_by: Literal["patience", "max_rounds"]
    leaves: int
    text: str


def _boost_steps(
    train: Examples, valid: Examples, training: Training, *, encoding: Encoding, options: LightGBMOptions, seed: int
) -> Iterator[_Fit]:
    """One model a step; the histogram bins are the same for all steps, so they are found once."""
    import lightgbm as lgb

    single = train.single_fields
    categorical = [name for name in single if name not in train.numeric] if encoding == "native" else []
    parameters = _parameters(options, seed=seed)
    columns = [*single, *(f"{name} {column}" for name in train.lists for column in list_columns(options.list_values))]
    names = _plain_names(columns)
    data = lgb.Dataset(
        _matrix(train, slice(None), list_values=options.list_values),
        feature_name=names,
        categorical_feature=[names[single.index(name)] for name in categorical],
        free_raw_data=False,  # LightGBM looks for it again when the same bins are used for the next step
    )
    x_valid = _matrix(valid, slice(None), list_values=options.list_values)
    checked = lgb.Dataset(x_valid, reference=data, free_raw_data=False)
    for t, step in enumerate(train.steps):
        weights = step_weights(train, step, training)
        data.set_label(train.labels[:, t]).set_weight(weights)
        if t > 0:  # where all count alike, set_weight would leave those of the step before
            data.set_field("weight", weights)
        checked.set_label(valid.labels[:, t]).set_weight(valid.row_weights)
        booster = lgb.train(
            parameters,
            data,
            num_boost_round=options.max_rounds,
            valid_sets=[checked],
            callbacks=[lgb.early_stopping(options.patience, verbose=False)],
        )
        text = booster.model_to_string(num_iteration=booster.best_iteration)
        kept = lgb.Booster(model_str=text)
        margin = kept.predict(x_valid, raw_score=True, num_threads=parameters["num_threads"])
        score = auc(valid.labels[:, t], np.asarray(margin), valid.row_weights)
        assert score is not None  # both classes were there
        rounds = booster.best_iteration
        logger.info("lightgbm, %s, %s categories: validation AUC %.4f after %d rounds", step, encoding, score, rounds)
        stopped_by: Literal["patience", "max_rounds"] = "patience"
        if booster.current_iteration() == options.max_rounds and options.max_rounds - rounds < options.patience:
            stopped_by = "max_rounds"
        yield _Fit(step, encoding, score, rounds, stopped_by, _leaves(text), text)


def _parameters(options: LightGBMOptions, *, seed: int) -> dict[str, Any]:
    chosen = options.model_dump(exclude={"preset", "encodings", "max_rounds", "patience", "list_values", "threads"})
    return chosen | {
        "objective": "binary",
        "boosting": "gbdt",
        "metric": "auc",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,  # of two ways that give equal trees up to rounding, always the same one
        "num_threads": options.threads or cores(),
        "verbosity": -1,
    }


def _matrix(examples: Examples, rows: slice, *, list_values: int) -> np.ndarray:
    """Numbers as they are (NaN for null), categories as ids, which float32 holds up to 16 million, lists as columns.

    Returns:
        float32 [n, F + L * C], C the number of ``list_columns``.
    """
    single, columns = len(examples.single_fields), len(list_columns(list_values))
    places = np.arange(len(examples))[rows]
    x = np.empty((len(places), single + len(examples.lists) * columns), np.float32)
    x[:, :single] = examples.ids[rows]
    x[:, [examples.single_fields.index(name) for name in examples.numeric]] = examples.values[rows]
    for field, lists in enumerate(examples.lists.values()):
        at = slice(single + field * columns, single + (field + 1) * columns)
        for start in range(0, len(places), ROWS_AT_ONCE):
            part = places[start : start + ROWS_AT_ONCE]
            x[start : start + len(part), at] = _list_matrix(lists.take(part), list_values)
    return x


def list_columns(list_values: int) -> list[str]:
    """What trees see of a list: its length, and the share of each of its feature's most frequent values."""
    return ["length", *(f"share of id {place}" for place in range(1, list_values + 1))]


def _list_matrix(lists: Ragged, list_values: int) -> np.ndarray:
    """The columns of ``list_columns``, float32 [n, C]. Ids run by frequency, so the first ones are wanted."""
    x = np.zeros((len(lists), 1 + list_values), np.float32)
    x[:, 0] = lists.lengths
    row, wanted = np.repeat(np.arange(len(lists)), lists.lengths), (lists.values > 0) & (lists.values <= list_values)
    np.add.at(x, (row[wanted], lists.values[wanted]), lists.shares()[wanted])
    return x


def _plain_names(fields: Sequence[str]) -> list[str]:
    """Names that LightGBM's format can hold: it has no room for spaces and punctuation."""
    return [f"f{position}_" + "".join(c if c.isalnum() else "_" for c in name) for position, name in enumerate(fields)]


def _leaves(text: str) -> int:
    """Leaves of all trees, the numbers that a model has learnt."""
    return sum(int(line.removeprefix("num_leaves=")) for line in text.splitlines() if line.startswith("num_leaves="))


def _booster(text: str, step: str, *, model: str) -> "lgb.Booster":
    import lightgbm as lgb

    try:
        return lgb.Booster(model_str=text)
    except lgb.basic.LightGBMError as error:
        raise InputError(f"the trees of '{step}' are damaged ({error}); train the model '{model}' again") from error


def _file_name(step: str) -> str:
    return f"{quote(step, safe=' ')}.txt"


def _check_classes(split: str, examples: Examples, *, model: str) -> None:
    for step in examples.steps_of_one_class():
        raise InputError(
            f"'{step}' has a single class among the {len(examples)} {split} rows, so '{model}' cannot be trained for "
            f"it; give split more rows, take the step out of funnel.steps, or '{model}' out of runs"
        )
