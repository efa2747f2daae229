"""The feature check: it finds what harms, and nothing else."""

import numpy as np
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance
from aitm_kedro.explain.feature_check import FeatureCheck, FeatureGain, check_features

SIZES = {"useful": 8, "idle": 5, "turned": 12, "noise": 30}
FEATURES = [FeatureSpec(name=name, kind="categorical", ids=size) for name, size in SIZES.items()]
FUNNEL = Funnel(steps=("click", "buy"), main_steps=("buy",))
MADE = Provenance.now(data={}, parameters={})


def _examples(rows: int, seed: int, *, turned: float, useful: float = 0.5) -> Examples:
    """Rows in which two features move the labels by so much, or the other way round."""
    random = np.random.default_rng(seed)
    ids = np.stack([random.integers(size, size=rows) for size in SIZES.values()], axis=1).astype(np.int32)
    log_odds = useful * (ids[:, 0] - 4) + turned * (ids[:, 2] - 6) / 6
    click = random.random(rows) < 1 / (1 + np.exp(-log_odds))
    labels = np.stack([click, click & (random.random(rows) < 0.5)], axis=1).astype(np.uint8)
    return Examples(ids=ids, labels=labels, fields=tuple(SIZES), steps=FUNNEL.steps, impression_id=np.arange(rows))


def _check(train: Examples, *halves: Examples, mode: str = "drop") -> FeatureCheck:
    features = [spec for spec in FEATURES if spec.name in train.fields]
    return check_features(train, halves, features=features, funnel=FUNNEL, mode=mode, provenance=MADE)


def _drifted(turned: float = -1.0) -> list[Examples]:
    return [_examples(6000, 0, turned=1.0), *(_examples(2000, seed, turned=turned) for seed in (1, 2))]


def test_a_feature_that_turned_round_is_dropped() -> None:
    found = _check(*_drifted())
    assert found.dropped == ("turned",)
    gain = found.gains["turned"]
    assert gain.at_least is not None
    assert gain.refitted is not None
    assert min(*gain.shuffled, *gain.at_least, *gain.refitted) > 0.01
    assert max(found.gains["useful"].shuffled) < -0.05
    assert found.gains["useful"].at_least is None
    sentence = found.describe()
    assert sentence.startswith("'turned' (+0.")
    assert "is left out of all runs (feature_check: drop)." in sentence


def test_a_report_drops_nothing() -> None:
    found = _check(*_drifted(), mode="report")
    assert found.harmful == ["turned"]
    assert found.dropped == ()
    assert "is kept (feature_check: report)." in found.describe()


def test_a_feature_that_harms_in_one_half_alone_stays() -> None:
    train, first, _ = _drifted()
    found = _check(train, first, _examples(2000, 2, turned=1.0))
    assert found.dropped == ()
    assert found.gains["turned"].shuffled[0] > 0 > found.gains["turned"].shuffled[1]


@pytest.mark.parametrize("seed", range(8))
def test_what_does_no_harm_stays(seed: int) -> None:
    found = _check(*(_examples(rows, 10 * seed + k, turned=0.0) for k, rows in enumerate((3000, 1000, 1000))))
    assert found.dropped == ()
    assert found.describe() == ""


def test_off_looks_at_nothing() -> None:
    found = _check(*_drifted(), mode="off")
    assert (found.dropped, found.gains, found.auc) == ((), {}, None)


def test_where_no_feature_would_be_left() -> None:
    later = [_examples(2000, seed, turned=-1.0, useful=-0.5) for seed in (1, 2)]
    parts = [part.of_fields(["useful", "turned"]) for part in (_examples(6000, 0, turned=1.0), *later)]
    with pytest.raises(InputError, match="would leave no feature"):
        _check(*parts)
    assert _check(*parts, mode="report").harmful == ["useful", "turned"]


def test_steps_of_one_class_do_not_count(caplog: pytest.LogCaptureFixture) -> None:
    train, *halves = _drifted()
    halves[0].labels[:, 1] = 0
    assert _check(train, *halves).dropped == ("turned",)
    halves[1].labels[:, 0] = 0
    found = _check(train, *halves)
    assert found.note == "validation is too small, or train has a single class"
    assert "Features were not checked: validation is too small" in caplog.text


def test_a_single_feature_is_not_checked() -> None:
    found = _check(*(part.of_fields(["turned"]) for part in _drifted()))
    assert found.note == "there is one feature"


def test_large_logs_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aitm_kedro.explain.feature_check.TRAIN_ROWS", 3000)
    monkeypatch.setattr("aitm_kedro.explain.feature_check.HALF_ROWS", 1000)
    assert _check(*_drifted()).dropped == ("turned",)


def test_what_runs_are_trained_without_tells_the_choice() -> None:
    harmless = FeatureCheck(mode="report", provenance=MADE)
    other = FeatureCheck(mode="off", gains={"a": FeatureGain(shuffled=(0, 0))}, provenance=MADE)
    assert harmless.choice() == other.choice()
    assert harmless.choice() != FeatureCheck(mode="drop", dropped=("a",), provenance=MADE).choice()
