"""LightGBM: boosted trees, one model a step, on raw numbers and whichever encoding of categories scores better.

Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017,
https://papers.nips.cc/paper/6907; parameters as in section A.1 of the AITM paper.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.parallel import cores
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.description import Description, check_fits, check_ids, describe
from aitm_kedro.learning.weights import Boosters

if TYPE_CHECKING:
    import lightgbm as lgb

# N = examples, F = fields, T = steps. The library is imported where it is used: it is slow to import, and most commands
# of the project do not boost.

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 262_144

Encoding = Literal["native", "ranked"]


class LightGBMOptions(Parameters):
    """LightGBM, with the paper's parameters; rounds and patience, of which it says nothing, are ours."""

    learning_rate: float = Field(0.1, gt=0)
    num_leaves: int = Field(70, ge=2)
    max_bin: int = Field(2000, ge=2)
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


def train_lightgbm(
    train: Examples, valid: Examples, *, vocabulary_sizes: Sequence[int], options: LightGBMOptions, seed: int
) -> tuple[Boosters, dict[str, Any]]:
    """Boost one model a step with every encoding; the encoding and the round that score best in validation are kept.

    Args:
        train: what to learn from, with ``values``.
        valid: what chooses.
        vocabulary_sizes: ids of each field, id 0 included.
        options: of LightGBM.
        seed: of bagging and of the features drawn for a tree. The same seed gives the same trees on the same machine.

    Returns:
        The models as text, and the history.

    Raises:
        InputError: a step has a single class in train or validation.
    """
    for name, examples in (("train", train), ("validation", valid)):
        check_ids(examples, vocabulary_sizes)
        _check_classes(name, examples)
    start = perf_counter()
    has_categories = set(train.single_fields) != set(train.values)
    boosted = [
        fit
        for encoding in (options.encodings if has_categories else options.encodings[:1])
        for fit in _boost_steps(train, valid, encoding=encoding, options=options, seed=seed)
    ]
    chosen = {
        step: max((fit for fit in boosted if fit.step == step), key=lambda fit: fit.valid_auc) for step in train.steps
    }
    seconds = perf_counter() - start
    description = describe(
        "lightgbm", options=options, steps=train.steps, fields=train.fields, vocabulary_sizes=vocabulary_sizes
    )
    models = Boosters(
        texts={step: fit.text for step, fit in chosen.items()},
        metadata=description.to_metadata() | {"numeric": json.dumps(list(train.values))},
    )
    rounds = [fit.rounds for fit in chosen.values()]
    history = {
        "model": "lightgbm",
        "validations": [],
        "encoding": {step: fit.encoding for step, fit in chosen.items()},
        "valid_auc": {
            step: {fit.encoding: fit.valid_auc for fit in boosted if fit.step == step} for step in train.steps
        },
        "rounds": {step: fit.rounds for step, fit in chosen.items()},
        "best_epoch": float(np.mean(rounds)),
        "seconds": round(seconds, 3),
        "rows_per_second": round(len(train) / seconds, 1),
        "device": "cpu",
        "precision": "float64",
        "parameters": sum(fit.leaves for fit in chosen.values()),
        "train_rows": len(train),
        "valid_rows": len(valid),
        "seed": seed,
    }
    return models, history


def predict_with_lightgbm(models: Boosters, examples: Examples) -> np.ndarray:
    """Predictions of every step, float32 [N, T].

    Raises:
        InputError: the models are damaged, or were trained on other fields or steps than the examples have.
    """
    check_fits(models, examples)
    description = Description.from_metadata(models)
    boosters = [_booster(models, step) for step in description.steps]
    numeric = json.loads(models.metadata["numeric"])
    if set(numeric) != set(examples.values):
        raise InputError(
            f"the model 'lightgbm' was trained on values of {numeric} but the examples have those of "
            f"{list(examples.values)}; run preparation and modelling again"
        )
    result = np.empty((len(examples), len(boosters)), np.float32)
    options = LightGBMOptions.model_validate(description.options)
    list_values = options.list_values
    threads = options.threads or cores()
    for start in range(0, len(examples), ROWS_AT_ONCE):
        x = _matrix(examples, slice(start, start + ROWS_AT_ONCE), list_values=list_values)
        for t, booster in enumerate(boosters):
            result[start : start + len(x), t] = booster.predict(x, num_threads=threads)
    return result


class _Fit(NamedTuple):
    """One step's model with one encoding."""

    step: str
    encoding: Encoding
    valid_auc: float
    rounds: int
    leaves: int
    text: str


def _boost_steps(
    train: Examples, valid: Examples, *, encoding: Encoding, options: LightGBMOptions, seed: int
) -> Iterator[_Fit]:
    """One model a step; the histogram bins are the same for all steps, so they are found once."""
    import lightgbm as lgb

    single = train.single_fields
    categorical = [name for name in single if name not in train.values] if encoding == "native" else []
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
        data.set_label(train.labels[:, t])
        checked.set_label(valid.labels[:, t])
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
        score = auc(valid.labels[:, t], np.asarray(margin))
        assert score is not None  # both classes were there
        rounds = booster.best_iteration
        logger.info("lightgbm, %s, %s categories: validation AUC %.4f after %d rounds", step, encoding, score, rounds)
        yield _Fit(step, encoding, score, rounds, _leaves(text), text)


def _parameters(options: LightGBMOptions, *, seed: int) -> dict[str, Any]:
    chosen = options.model_dump(exclude={"encodings", "max_rounds", "patience", "list_values", "threads"})
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
    for name, values in examples.values.items():
        x[:, examples.single_fields.index(name)] = values[rows]
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


def _booster(models: Boosters, step: str) -> "lgb.Booster":
    import lightgbm as lgb

    if step not in models.texts:
        raise InputError(f"the model 'lightgbm' has no trees for '{step}'; train the model again")
    try:
        return lgb.Booster(model_str=models.texts[step])
    except lgb.basic.LightGBMError as error:
        raise InputError(f"the trees of '{step}' are damaged ({error}); train the model 'lightgbm' again") from error


def _check_classes(split: str, examples: Examples) -> None:
    for step in examples.steps_of_one_class():
        raise InputError(
            f"'{step}' has a single class among the {len(examples)} {split} rows, so 'lightgbm' cannot be trained for "
            f"it; give split more rows, take the step out of funnel.steps, or 'lightgbm' out of MODELS in settings.py"
        )
