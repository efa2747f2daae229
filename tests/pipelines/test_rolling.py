"""Rolling validation: its nodes, and its pipeline."""

import numpy as np
import pytest
from tests.learning.data import FEATURES, make_table

from aitm_kedro.config.runs import Run, resolve_runs
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpecs
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.explain.feature_check import FeatureCheck
from aitm_kedro.learning.parameters import Rolling, Training, ValidationOptions
from aitm_kedro.learning.registry import build
from aitm_kedro.pipelines.modelling import create_rolling_pipeline
from aitm_kedro.pipelines.modelling.rolling import RollingScores, WindowScore, compare_windows, validate_rolling
from aitm_kedro.tables.parameters import Split, VocabularyOptions
from aitm_kedro.tables.reports import BeforeAndAfter, CountsBySegment, KeepRates, SamplingReport, StepCount

STEPS = ("click", "apply", "approve")
FUNNEL = Funnel(steps=STEPS, main_steps=("apply", "approve"))
SPECS = FeatureSpecs(vocabulary=None, features=FEATURES)
CHECKED = FeatureCheck(mode="report", provenance=Provenance.now(data={"features": SPECS.fingerprint()}, parameters={}))
RUNS = resolve_runs(
    {"runs": {"logistic": {}, "naive_bayes": {}, "ensemble": {"options": {"members": ["logistic", "naive_bayes"]}}}}
)
ROWS = make_table(1200, seed=1)


def _counted(examples: Examples) -> BeforeAndAfter:
    happened = dict(zip(STEPS, examples.labels.sum(axis=0, dtype=int), strict=True))
    steps = {step: StepCount(positives=count, rate=0) for step, count in happened.items()}
    counts = CountsBySegment(rows=len(examples), steps=steps, segments={})
    return BeforeAndAfter(before=counts, after=counts)


def validate(run: str = "logistic", *, rows: Examples = ROWS, windows: int = 3, **given: object) -> RollingScores:
    train, valid = rows.take(np.arange(900)), rows.take(np.arange(900, 1200))
    rates = KeepRates(overall=1.0, per_segment={})
    report = SamplingReport(positive_share=None, seed=0, keep_rates=rates, train=_counted(train), valid=_counted(valid))
    options = {"split": Split(), "validation": ValidationOptions(), "feature_check": CHECKED} | given
    return validate_rolling(
        train,
        valid,
        SPECS,
        options["feature_check"],
        report,
        FUNNEL,
        options["split"],
        options["validation"],
        Training(device="cpu", threads=1),
        Rolling(windows=windows),
        VocabularyOptions(min_count=1),
        run=RUNS.find(run),
        seed=0,
    )


class TestOneRun:
    def test_each_window_learns_from_what_was_before_it_and_judges_on_the_rows_that_stopped_nothing(self) -> None:
        scores = validate()
        assert [(window.train_rows, window.selection_rows) for window in scores.windows] == [
            (300, 150),
            (600, 150),
            (900, 150),
        ]
        model = build("logistic").fit(
            ROWS.take(np.arange(600)), ROWS.take(np.arange(600, 750)), features=FEATURES, funnel=FUNNEL, seed=0
        )
        later = ROWS.take(np.arange(750, 900))
        predictions = model.predict(later)
        expected = {step: auc(later.labels[:, t], predictions[:, t]) for t, step in enumerate(STEPS)}
        assert scores.windows[1].auc == pytest.approx(expected)

    def test_it_says_what_it_was_made_from(self) -> None:
        made = validate(windows=2).provenance
        assert made.parameters["rolling"] == {"windows": 2}
        assert made.parameters["vocabulary"]["min_count"] == 1
        assert {"train", "valid", "dropped_features"} <= made.data.keys()

    def test_dropped_features_are_left_out_here_too(self) -> None:
        checked = CHECKED.model_copy(update={"dropped": ("age", "tags")})
        assert validate(feature_check=checked).windows[-1].auc != validate().windows[-1].auc

    def test_a_split_that_does_not_go_by_time(self) -> None:
        with pytest.raises(InputError, match=r"rolling validation follows time, but split.by is 'column'"):
            validate(split=Split(by="column", column="part"))

    def test_a_row_of_too_few_rows(self) -> None:
        with pytest.raises(InputError, match=r"rolling.windows is 4, .* leaves 0 of 900 train rows .* set it to 3"):
            validate(windows=4)


def scores_of(run: str, *aucs: float | None, data: str = "a") -> RollingScores:
    windows = [
        WindowScore(train_rows=1000 * place, selection_rows=150, auc={"click": 0.9, "apply": found, "approve": found})
        for place, found in enumerate(aucs, start=1)
    ]
    provenance = Provenance.now(data={"train": data}, parameters={})
    return RollingScores(run=run, model=run, seed=0, windows=tuple(windows), provenance=provenance)


class TestComparison:
    def test_runs_are_ranked_by_the_main_steps_over_all_windows(self) -> None:
        scores = [scores_of("worse", 0.70, 0.73), scores_of("better", 0.73, 0.72)]
        table, text = compare_windows(FUNNEL, *scores)
        assert len(table) == 2 * 2 * 3
        assert set(table.columns) == {"run", "seed", "window", "train_rows", "selection_rows", "step", "auc"}
        rows = [line for line in text.splitlines() if line.startswith(("| better", "| worse"))]
        # Differences of -.03 and +.01: their mean, and its standard error.
        assert rows == [
            "| better | 0.7300 | 0.7200 | 0.7250 |  | 1 of 2 |",
            "| worse | 0.7000 | 0.7300 | 0.7150 | -0.0100 ± 0.0200 | 1 of 2 |",
        ]
        assert "Mean AUC of apply and approve" in text
        assert "window 1 1,000 to learn from, 150 to select by" in text

    def test_a_window_without_positives_does_not_count(self) -> None:
        scores = [scores_of("worse", 0.70, None, 0.73), scores_of("better", 0.73, None, 0.72)]
        text = compare_windows(FUNNEL, *scores)[1]
        assert "| worse | 0.7000 | - | 0.7300 | 0.7150 | -0.0100 ± 0.0200 | 1 of 2 |" in text

    def test_a_single_window_that_counts(self) -> None:
        with pytest.raises(InputError, match=r"1 of 2 windows hold both classes of apply and approve, too few"):
            compare_windows(FUNNEL, scores_of("a", 0.70, None), scores_of("b", 0.73, None))

    def test_windows_of_other_rows(self) -> None:
        with pytest.raises(InputError, match=r"windows of 'b' and 'a' are of different rows; run both again"):
            compare_windows(FUNNEL, scores_of("a", 0.7), scores_of("b", 0.7, data="b"))


class TestPipeline:
    @pytest.fixture
    def keys(self) -> list[tuple[Run, int]]:
        return [(run, seed) for seed in (0, 1) for run in RUNS.runs]

    def test_every_run_but_ensembles_once(self, keys: list) -> None:
        pipeline = create_rolling_pipeline(keys)
        assert {node.name for node in pipeline.nodes} == {
            "logistic.seed0.validate_rolling",
            "naive_bayes.seed0.validate_rolling",
            "compare_windows",
        }
        assert pipeline.outputs() == {"rolling_scores", "rolling_table"}

    def test_it_reads_what_training_reads(self, keys: list) -> None:
        assert {name for name in create_rolling_pipeline(keys).inputs() if "params:" not in name} == {
            *("train_examples@arrays", "valid_examples@arrays", "feature_specs", "feature_check", "sampling_report")
        }
