"""Numbers of all runs in one table, what they come to, and the paper's Table 2."""

import io
import warnings
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from scipy import stats

from aitm_kedro.comparison.findings import best_run, describe_best, findings
from aitm_kedro.comparison.gathering import COLUMNS, ComparisonNotes, gather
from aitm_kedro.comparison.markdown import tabulate
from aitm_kedro.comparison.summary import is_tied, order_runs, overlap, summarise
from aitm_kedro.config.runs import resolve_runs
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Fingerprints
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance, with_provenance
from aitm_kedro.core.published import Published
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.results import Evaluated, Metrics, SegmentMetrics, StepMetrics
from aitm_kedro.evaluation.significance import place_rows
from aitm_kedro.learning.parameters import Training, ValidationOptions
from aitm_kedro.pipelines.comparison import create_pipeline

STEPS = ("click", "buy")
ROWS = 400
LABELS = np.random.default_rng(0).random((ROWS, 2)) < [0.4, 0.2]
START = datetime(2024, 1, 1, tzinfo=UTC)
TRAINING = {"parameters": 1234.0, "epochs": 5.0, "best_epoch": 2.0, "seconds_per_epoch": 3.0, "seconds": 15.0}


def step_metrics(auc, *, log_loss=0.02):
    return StepMetrics(
        positives=30,
        auc=auc,
        auc_low=None if auc is None else auc - 0.02,
        auc_high=None if auc is None else auc + 0.02,
        average_precision=auc,
        log_loss=log_loss,
        calibration_error=0.001,
        mean_predicted=0.1,
        rate=0.1,
        note="No AUC." if auc is None else None,
    )


def evaluated(buy, *, click=0.71, log_loss=0.02):
    north = SegmentMetrics(rows=50, positives=12, auc=buy, auc_low=None, auc_high=None)
    return Evaluated(
        rows=99,
        steps={"click": step_metrics(click, log_loss=log_loss), "buy": step_metrics(buy, log_loss=log_loss)},
        segments={"north": {"buy": north}},
        order_violations={"buy": 0.25},
    )


def trained(model, *, options=None, changed=None, training=None, data="d1"):
    parameters = {"model": model, "options": options or {"embedding_dim": 5}, "options_changed": changed or {}}
    parameters |= {"funnel": {"steps": list(STEPS)}, "training": training or {"batch_size": 2000, "threads": 2}}
    return Provenance(data={"train": data, "valid": "v1"}, parameters=parameters, made=START)


def judged(*, test_rows="t1", day=0):
    return Provenance(data={"test": test_rows}, parameters={}, made=START + timedelta(days=day))


def result(
    run, buy, *, model=None, seed=0, deterministic=False, test_rows="t1", day=0, click=0.71, log_loss=0.02, **of
):
    return Metrics(
        run=run,
        model=model or run,
        seed=seed,
        deterministic=deterministic,
        test=evaluated(buy, click=click, log_loss=log_loss),
        training=TRAINING,
        trained=trained(model or run, **of),
        provenance=judged(test_rows=test_rows, day=day),
    )


def oracle(buy=0.9, *, day=0):
    test = None if buy is None else evaluated(buy)
    return Metrics(run="oracle", test=test, provenance=judged(day=day), note="no truth" if buy is None else None)


def gathered(*results):
    return gather([((metrics.run, metrics.seed), metrics) for metrics in results])


def board(**aucs):
    """One list of AUCs of "buy" a run, by seed; None: there are no results. "logistic" has no random part."""
    return gather(
        [
            ((run, seed), None if value is None else result(run, value, seed=seed, deterministic=run == "logistic"))
            for run, values in aucs.items()
            for seed, value in enumerate(values)
        ]
    )


def placements(seed=0, *, noise=1.0, weights=None):
    predicted = LABELS + noise * np.random.default_rng(seed).normal(size=LABELS.shape)
    return place_rows(LABELS.astype(np.uint8), predicted, steps=STEPS, row_weights=weights)


def summary_of(found, placed=None, *, reference="lightgbm", subject="aitm"):
    return summarise(found.comparison, placed or {}, steps=STEPS, reference=reference, subject=subject)


def write(summary, comparison, notes=None, *, reference="lightgbm", subject="aitm", published=None):
    return tabulate(
        summary,
        comparison,
        steps=STEPS,
        main_steps=("buy",),
        reference=reference,
        subject=subject,
        confidence=0.95,
        tested_on="99 rows",
        notes=notes or ComparisonNotes(),
        published=published or Published(),
        verdict="all 3 counts are those of Shop as published",
    )


def with_unlearnt(found, *failed):
    """The same, where some runs and seeds did not learn; those whose AUCs are above chance rank all the same."""
    keys = found.comparison[["run", "model", "seed"]].drop_duplicates()
    pairs = [(run, int(seed)) for run, seed in zip(keys["run"], keys["seed"], strict=True)]
    aucs = found.comparison[found.comparison["metric"] == "auc"].groupby(["run", "seed"])["value"].mean()
    told = {"learnt": [pair not in failed for pair in pairs], "ranks": [aucs[pair] >= 0.55 for pair in pairs]}
    tables = [keys.assign(step=None, metric=name, value=list(map(float, values))) for name, values in told.items()]
    return found._replace(comparison=pd.concat([found.comparison, *tables], ignore_index=True))


def table_of(found, placed=None, *, published=None, **roles):
    return write(summary_of(found, placed, **roles), found.comparison, found.notes, published=published, **roles)


def part_of(markdown, title):
    return markdown.split(f"## {title}")[1].split("\n## ")[0]


def row_of(markdown, model):
    return next(line for line in markdown.splitlines() if line.startswith(f"| {model}"))


class TestTidyTable:
    def test_one_number_a_row(self):
        tidy = gathered(result("small", 0.8, model="aitm", seed=3)).comparison
        assert list(tidy.columns) == list(COLUMNS)
        found = tidy.set_index(["step", "metric"])["value"]
        assert found["buy", "order_violations"] == 0.25
        assert found["buy", "auc"] == 0.8
        assert set(tidy["seed"]) == {3}
        assert set(tidy["run"]) == {"small"}
        assert set(tidy["model"]) == {"aitm"}
        facts = tidy[tidy["step"].isna()].set_index("metric")["value"]
        assert facts.to_dict() == TRAINING | {"deterministic": 0, "rows": 99}

    def test_the_oracle_has_no_model_no_seed_and_no_training(self):
        tidy = gathered(oracle()).comparison
        assert tidy[["model", "seed"]].isna().all(axis=None)
        assert "parameters" not in set(tidy["metric"])

    def test_a_source_without_truth_has_no_rows(self):
        found = gathered(result("aitm", 0.8), oracle(None))
        assert list(found.comparison["run"].unique()) == ["aitm"]
        assert found.comparison["value"].dtype == "float64"


class TestGather:
    def test_whole_and_segments_come_apart(self):
        found = board(aitm=[0.8], mmoe=[0.7])
        assert set(found.segments["segment"]) == {"north"}
        assert list(found.segments.columns) == ["run", "model", "seed", "segment", "step", "metric", "value"]
        assert found.notes.notes == ()

    def test_missing_results_are_named_and_the_rest_is_compared(self):
        found = board(aitm=[0.8, 0.81], mmoe=[0.7, None], ple=[None, None], esmm=[None, None])
        assert set(found.comparison["run"]) == {"aitm", "mmoe"}
        assert found.notes.notes == (
            "No results of mmoe with seed 1: not in the comparison.",
            "No results of ple, esmm with seeds 0, 1: not in the comparison.",
        )
        assert "- No results of ple, esmm with seeds 0, 1: not in the comparison." in table_of(found)

    def test_results_from_other_data_than_the_newest_are_named_and_left_out(self):
        found = gathered(
            result("ple", 0.8, seed=1, data="d2", day=-1),
            result("mmoe", 0.9, data="d2", day=-1),
            result("esmm", 0.9, test_rows="t2", day=-1),
            result("aitm", 0.8),
            result("ple", 0.8),
            oracle(day=30),
        )
        assert set(found.comparison["run"]) == {"aitm", "ple", "oracle"}
        assert found.notes.notes == (
            "The results of ple.seed1, mmoe.seed0, esmm.seed0 come from other rows than the current examples and were "
            "left out; renew them: kedro run --pipelines=modelling --namespaces=ple.seed1,mmoe.seed0,esmm.seed0",
        )

    @pytest.mark.parametrize(
        "otherwise",
        [
            {"options": {"embedding_dim": 5, "alpha": 0.3}},
            {"training": {"batch_size": 100}},
            {"model": "mmoe"},
        ],
    )
    def test_seeds_trained_otherwise_than_the_newest_are_named_and_left_out(self, otherwise):
        found = gathered(result("aitm", 0.8, day=1), result("aitm", 0.7, seed=1, **otherwise), result("ple", 0.8))
        assert set(found.comparison.loc[found.comparison["run"] == "aitm", "seed"]) == {0}
        assert found.notes.notes == (
            "The results of aitm (seed 1) were trained with other parameters than the newest of their run and were "
            "left out; run benchmark again.",
        )

    def test_fields_that_only_say_where_to_compute_do_not_count(self):
        found = gathered(
            result("aitm", 0.8, training={"batch_size": 2000, "device": "cpu", "threads": 1}),
            result("aitm", 0.7, seed=1, training={"batch_size": 2000, "device": "cuda", "threads": None}),
            result("lightgbm", 0.7, options={"rounds": 9, "threads": 1}),
            result("lightgbm", 0.7, seed=1, options={"rounds": 9, "threads": 8}, changed={"threads": 8}),
        )
        assert found.notes.notes == ()
        assert found.notes.settings["aitm"].training == {"batch_size": 2000, "embedding_dim": 5}
        assert found.notes.settings["lightgbm"].changed == {}

    def test_variants_of_one_model_stand_beside_each_other(self):
        found = gathered(
            result("aitm", 0.8),
            result("aitm_no_calibrator", 0.7, model="aitm", changed={"alpha": 0}, options={"alpha": 0}),
        )
        assert found.notes.notes == ()
        assert order_runs(found.comparison) == ["aitm", "aitm_no_calibrator"]
        rows = summary_of(found, reference="aitm_no_calibrator").query("step == 'buy'").set_index("run")
        assert rows["model"].to_dict() == {"aitm": "aitm", "aitm_no_calibrator": "aitm"}
        assert rows.loc["aitm", "gain"] == pytest.approx(0.1)
        markdown = table_of(found, reference="aitm_no_calibrator")
        assert "Options other than the defaults: aitm_no_calibrator alpha 0." in markdown
        assert row_of(markdown, "aitm_no_calibrator").startswith("| aitm_no_calibrator (reference) | ")

    def test_results_survive_their_files(self):
        first = result("aitm", 0.8)
        again = Metrics.model_validate_json(first.model_dump_json())
        found = gathered(first, again.model_copy(update={"seed": 1}))
        assert set(found.comparison["seed"]) == {0, 1}
        assert ComparisonNotes.model_validate_json(found.notes.model_dump_json()) == found.notes

    @pytest.mark.parametrize("results", [[(("aitm", 0), None)], [(("oracle", None), oracle(None))]])
    def test_nothing_to_compare(self, results):
        with pytest.raises(InputError, match="run the modelling pipeline first"):
            gather(results)


AUCS = {
    "lightgbm": [0.70, 0.71, 0.72],
    "ple": [0.76, 0.77, 0.75],
    "aitm": [0.79, 0.78, 0.80],
    "logistic": [0.74],
}


class TestSummary:
    def rows(self, *, subject="aitm", **aucs):
        summary = summary_of(board(**(aucs or AUCS)), subject=subject)
        return summary[summary["step"] == "buy"].set_index("run")

    def test_means_gains_and_marks(self):
        rows = self.rows()
        assert rows["auc"].round(6).to_dict() == {"lightgbm": 0.71, "ple": 0.76, "aitm": 0.79, "logistic": 0.74}
        assert rows.loc["aitm", "auc_std"] == pytest.approx(0.01)
        assert rows.loc["aitm", "gain"] == pytest.approx(0.08)
        assert np.isnan(rows.loc["lightgbm", "gain"])
        assert rows.index[rows["best"]].tolist() == ["aitm"]
        assert rows.index[rows["best_baseline"]].tolist() == ["ple"]

    def test_the_t_test_is_paired_by_seed_and_a_deterministic_run_stands_against_every_seed(self):
        rows = self.rows()
        expected = stats.ttest_rel(AUCS["aitm"], AUCS["ple"]).pvalue
        assert rows.loc["ple", "p_seeds"] == pytest.approx(expected)
        against_one = stats.ttest_1samp(AUCS["aitm"], 0.74).pvalue
        assert rows.loc["logistic", "p_seeds"] == pytest.approx(against_one)

    def test_a_deterministic_subject_stands_against_every_seed_of_the_others(self):
        rows = self.rows(subject="logistic")
        assert rows.loc["aitm", "p_seeds"] == pytest.approx(stats.ttest_1samp(AUCS["aitm"], 0.74).pvalue)
        assert rows.loc["aitm", "lead"] == pytest.approx(0.74 - 0.79)

    def test_two_deterministic_runs_have_no_spread_over_seeds(self):
        found = gathered(*(result(run, auc, deterministic=True) for run, auc in (("logistic", 0.7), ("bayes", 0.6))))
        row = summary_of(found, subject="bayes").query("step == 'buy' and run == 'logistic'").iloc[0]
        assert np.isnan(row["p_seeds"])
        assert "the runs have 1 in common" in row["note"]

    def test_only_seeds_of_both_runs_are_paired(self):
        rows = self.rows(aitm=[0.79, 0.78, 0.80], ple=[0.76, None, 0.75])
        assert rows.loc["ple", "p_seeds"] == pytest.approx(stats.ttest_rel([0.79, 0.80], [0.76, 0.75]).pvalue)

    def test_one_seed_leaves_the_test_over_seeds_blank_with_the_reason(self):
        rows = self.rows(aitm=[0.79], ple=[0.76])
        assert np.isnan(rows.loc["ple", "p_seeds"])
        assert "a test over seeds needs two at least" in rows.loc["ple", "note"]

    def test_without_results_of_the_subject_nothing_is_tested(self):
        rows = self.rows(lightgbm=[0.7, 0.71], ple=[0.76, 0.75])
        assert rows["lead"].isna().all()
        assert rows.index[rows["best"]].tolist() == ["ple"]

    def test_without_a_subject_there_are_no_leads_and_no_baselines(self):
        rows = self.rows(subject=None)
        assert rows[["lead", "lead_error", "p_rows", "lead_seeds", "p_seeds"]].isna().all(axis=None)
        assert not rows["best_baseline"].any()
        assert rows.index[rows["best"]].tolist() == ["aitm"]

    def test_without_results_of_the_reference_there_are_no_gains(self):
        rows = self.rows(aitm=[0.79], ple=[0.76])
        assert rows["gain"].isna().all()

    def test_a_run_that_did_not_learn_is_never_the_best(self):
        found = with_unlearnt(board(**AUCS), ("aitm", 0), ("aitm", 1), ("aitm", 2), ("ple", 1))
        rows = summary_of(found).query("step == 'buy'").set_index("run")
        assert rows["unlearnt"].to_dict() == {"lightgbm": 0, "ple": 1, "aitm": 3, "logistic": 0}
        assert rows.index[rows["best"]].tolist() == rows.index[rows["best_baseline"]].tolist() == ["logistic"]
        assert not rows.loc[["aitm", "ple"], "tied"].any()

    def test_runs_are_told_apart_by_paired_tests_although_their_intervals_overlap(self):
        placed = {("aitm", 0): placements(0, noise=0.5), ("ple", 0): placements(1), ("lightgbm", 0): placements(2)}
        rows = summary_of(board(aitm=[0.79], ple=[0.765], lightgbm=[0.7899]), placed).query("step == 'buy'")
        rows = rows.set_index("run")
        assert rows.loc["aitm", "auc_low"] < rows.loc["ple", "auc_high"]
        assert rows["tied"].to_dict() == {
            run: run != "aitm" and rows.loc[run, "p_rows_best"] >= 0.05 for run in ("aitm", "ple", "lightgbm")
        }
        assert rows.loc["lightgbm", "tied"]
        assert rows.loc["ple", "p_rows_best"] == pytest.approx(rows.loc["ple", "p_rows"])

    @pytest.mark.parametrize(
        ("tests", "other", "tied"),
        [
            ([(0.1, 0.01)], (0.6, 0.9), False),
            ([(0.1, 0.01), (0.1, 0.2)], (0.1, 0.2), True),
            ([(0.1, 0.01), (-0.1, 0.01)], (0.1, 0.2), True),
            ([], (0.65, 0.71), True),
            ([], (0.6, 0.69), False),
            ([], None, True),
        ],
    )
    def test_who_cannot_be_told_apart(self, tests, other, tied):
        assert is_tied(tests, (0.7, 0.8), other) == tied

    def test_overlap(self):
        assert overlap((0.1, 0.3), (0.3, 0.4))
        assert not overlap((0.3, 0.4), (0.1, 0.29))
        assert overlap((0.3, 0.4), None)

    @pytest.mark.parametrize("weights", [None, np.random.default_rng(1).gamma(1, size=ROWS)])
    def test_rows_are_tested_on_the_mean_over_seeds(self, weights):
        placed = {
            (run, seed): placements(10 * k + seed, weights=weights)
            for k, run in enumerate(("aitm", "ple"))
            for seed in (0, 1)
        }
        summary = summary_of(board(aitm=[0.79, 0.78], ple=[0.76, 0.75]), placed)
        found = summary[(summary["step"] == "buy") & (summary["run"] == "ple")].iloc[0]
        parts = []
        for label, count in ((0, 99 - 30), (1, 30)):
            tables = [table.query(f"step == 'buy' and label == {label}") for table in placed.values()]
            of_aitm, _, of_ple, _ = by_run = [table["placement"].to_numpy(float) for table in tables]
            d = (by_run[0] + by_run[1]) / 2 - (by_run[2] + by_run[3]) / 2
            assert len(of_aitm) == len(of_ple)
            w = np.ones(len(d)) if weights is None else tables[0]["weight"].to_numpy(float)
            spread = (w * (d - np.average(d, weights=w))) ** 2
            parts.append(spread.sum() / w.sum() ** 2 * len(d) / (len(d) - 1) * len(d) / count)
        assert found["lead_error"] == pytest.approx(sum(parts) ** 0.5)
        assert found["p_rows"] == pytest.approx(2 * stats.norm.sf(0.03 / sum(parts) ** 0.5))

    @pytest.mark.parametrize(
        "other",
        [placements().iloc[:-1], placements(weights=np.ones(ROWS)), None],
        ids=["other rows", "with weights", "none"],
    )
    def test_placements_of_other_rows_or_weights_are_not_compared(self, other):
        placed = {("aitm", 0): placements(), ("ple", 0): other}
        summary = summary_of(board(aitm=[0.79], ple=[0.76]), placed)
        found = summary[(summary["step"] == "buy") & (summary["run"] == "ple")].iloc[0]
        assert np.isnan(found["p_rows"])
        assert "no placements of the same rows" in found["note"]


class TestTable:
    def test_marks_and_gains(self):
        markdown = table_of(board(**AUCS))
        auc = part_of(markdown, "AUC on test")
        assert row_of(auc, "aitm") == "| aitm | 0.7100 ± 0.0000 | **0.7900** ± 0.0100 | +0.0800 |"
        assert "**<ins>0.7600</ins>** ± 0.0100" in row_of(auc, "ple")  # p = 0.12 over seeds: not told apart from aitm
        assert "| **" not in row_of(auc, "logistic")
        assert "0.7400 [0.7200, 0.7600]" in row_of(auc, "logistic")
        assert row_of(auc, "lightgbm").startswith("| lightgbm (reference) | 0.7100 ")
        assert row_of(auc, "lightgbm").endswith("| \N{EN DASH} |")

    @pytest.mark.parametrize(
        ("aitm", "stars"),
        [
            ([0.790, 0.791, 0.789], " \\*\\*"),
            ([0.772, 0.763, 0.767], " \\*"),
            ([0.770, 0.750, 0.765], ""),
            ([0.690, 0.691, 0.689], ""),  # below, however surely, earns no star
        ],
    )
    def test_stars_are_for_a_significant_lead(self, aitm, stars):
        baseline = [0.760, 0.755, 0.758]
        p = stats.ttest_rel(aitm, baseline).pvalue
        assert {" \\*\\*": p < 0.01, " \\*": 0.01 < p < 0.05, "": p > 0.05 or aitm[0] < 0.7}[stars]
        cells = row_of(part_of(table_of(board(aitm=aitm, ple=baseline)), "AUC on test"), "aitm").split(" | ")
        assert cells[2].endswith(f"{np.std(aitm, ddof=1):.4f}{stars}")

    def test_a_lead_over_all_seeds_that_is_none_over_those_of_both_earns_no_star(self):
        found = board(aitm=[0.70, 0.7001, 0.9, 0.9, 0.9], ple=[0.75, 0.7502])
        assert "\\*" not in row_of(part_of(table_of(found), "AUC on test"), "aitm")

    def test_runs_keep_their_order_with_the_oracle_last_and_never_best(self):
        found = gathered(oracle(), result("logistic", 0.79), result("lightgbm", 0.7), result("aitm", 0.8))
        auc = part_of(table_of(found, reference="logistic"), "AUC on test")
        first_column = [line.split("|")[1].strip() for line in auc.splitlines() if line.startswith("| ")]
        assert first_column == [
            "run", "---", "logistic (reference)", "lightgbm", "aitm", "oracle (upper bound)",
        ]  # fmt: skip
        assert "**" not in row_of(auc, "oracle")

    def test_a_run_that_did_not_learn_is_marked_and_never_bold(self):
        found = with_unlearnt(board(**AUCS), ("aitm", 0), ("aitm", 1), ("aitm", 2), ("lightgbm", 2))
        markdown = table_of(found)
        auc = part_of(markdown, "AUC on test")
        mark = "did not learn probabilities"
        assert row_of(auc, "aitm") == f"| aitm ({mark}) | 0.7100 ± 0.0000 | 0.7900 ± 0.0100 | +0.0800 |"
        assert row_of(auc, "lightgbm").startswith(f"| lightgbm (reference, 1 of 3 seeds {mark}) | ")
        assert "A run that did not learn" in auc
        assert "A run that did not learn" not in table_of(board(**AUCS))
        assert "- No run that learnt is clearly the best on buy: `ple` has the highest AUC" in markdown
        assert "**<ins>0.7600</ins>**" in row_of(auc, "ple")
        for part in ("Probabilities and order", "Cost"):
            assert row_of(part_of(markdown, part), "aitm").startswith(f"| aitm ({mark}) | ")

    def test_a_run_at_chance_is_said_not_to_have_learnt_at_all(self):
        found = with_unlearnt(gathered(result("aitm", 0.5, click=0.52), result("ple", 0.8)), ("aitm", 0))
        assert row_of(part_of(table_of(found, reference="ple"), "AUC on test"), "aitm").startswith(
            "| aitm (did not learn) | 0.5200 "
        )
        found = gathered(result("aitm", 0.5, click=0.5), result("aitm", 0.9, seed=1), result("ple", 0.8))
        titled = table_of(with_unlearnt(found, ("aitm", 0)), reference="ple")
        assert row_of(titled, "aitm").startswith("| aitm (1 of 2 seeds did not learn) | ")

    def test_a_run_that_did_not_learn_has_not_the_best_probabilities(self):
        found = gathered(result("aitm", 0.8, log_loss=0.01), result("logistic", 0.79, log_loss=0.02))
        probabilities = part_of(table_of(with_unlearnt(found, ("aitm", 0))), "Probabilities and order")
        assert "**" not in row_of(probabilities, "aitm")
        assert "**0.02000**" in row_of(probabilities, "logistic")

    def test_without_a_subject_no_lead_is_tested(self):
        markdown = table_of(board(**AUCS), subject=None)
        assert "No lead is tested" in part_of(markdown, "Statistical significance")
        assert "against" not in markdown
        assert "baseline" not in markdown
        assert "None" not in markdown
        assert "**0.7900** ± 0.0100 | +0.0800" in row_of(markdown, "aitm")

    def test_a_reference_without_results_is_said_to_have_none(self):
        found = board(lightgbm=[None], aitm=[0.8], ple=[0.7])
        markdown = table_of(found)
        assert "- The reference `lightgbm` has no results to compare, so there are no gains over it." in markdown
        assert "- No results of lightgbm with seed 0: not in the comparison." in markdown
        assert row_of(part_of(markdown, "AUC on test"), "ple").endswith("| \N{EN DASH} |")

    def test_a_subject_without_results_is_said_to_have_none(self):
        markdown = table_of(board(lightgbm=[0.7, 0.71], ple=[0.75, 0.76], aitm=[None, None]))
        assert "- `aitm` has no results to compare, so its lead over other runs is not tested." in markdown

    def test_less_is_better_for_log_loss(self):
        found = gathered(result("aitm", 0.8, log_loss=0.03), result("logistic", 0.79, log_loss=0.01))
        probabilities = part_of(table_of(found), "Probabilities and order")
        assert "**0.01000**" in row_of(probabilities, "logistic")
        assert "| 0.03000 |" in row_of(probabilities, "aitm")
        assert row_of(probabilities, "aitm").endswith("| 25.00 % |")

    def test_cost_and_what_is_alike(self):
        markdown = table_of(board(aitm=[0.8], ple=[0.7]))
        assert row_of(part_of(markdown, "Cost"), "aitm") == "| aitm | 1,234 | 5.0 | 2.0 | 3.0 | 15 |"
        assert "Common to all networks: batch_size 2000, embedding_dim 5." in markdown
        assert "Options other than the defaults: none." in markdown

    def test_settings_that_differ_are_named(self):
        options = {"embedding_dim": 16, "alpha": 0.3}
        found = gathered(result("aitm", 0.8, options=options, changed=options), result("ple", 0.7))
        assert "The networks differ in embedding_dim: aitm 16, ple 5." in table_of(found)
        assert "Options other than the defaults: aitm alpha 0.3." in table_of(found)

    def test_only_runs_that_have_a_setting_are_compared_in_it(self):
        found = gathered(result("lightgbm", 0.8, options={"rounds": 9}), result("ple", 0.7), result("aitm", 0.7))
        assert "Common to all networks: batch_size 2000, embedding_dim 5." in table_of(found)

    def test_undefined_is_a_dash_and_said(self):
        markdown = table_of(gathered(*(result(run, 0.8, click=None) for run in ("aitm", "logistic"))))
        assert row_of(part_of(markdown, "AUC on test"), "aitm").startswith("| aitm | \N{EN DASH} |")
        assert "`click` has no AUC: test has only one class of it." in markdown

    @pytest.mark.parametrize("subject", ["aitm", None])
    def test_survives_csv_files(self, subject):
        found = gathered(*(result(run, auc) for run, auc in (("lightgbm", 0.7), ("aitm", 0.8), ("ple", 0.9))), oracle())
        summary = summary_of(found, subject=subject)
        again = [pd.read_csv(io.StringIO(t.to_csv(index=False))) for t in (summary, found.comparison)]
        first, second = write(summary, found.comparison, subject=subject), write(*again, subject=subject)
        assert first == second
        assert "nan" not in first


class TestPublished:
    KNOWN = Published(
        source="Shop",
        results=[
            {"by": "the paper", "model": "aitm", "auc": {"buy": 0.6525}},
            {"by": "a port", "model": "dbmtl", "auc": {"click": 0.6, "buy": 0.65}},
        ],
    )

    def test_what_others_report_stands_beside_the_first_run_of_the_same_model(self):
        found = gathered(
            result("lightgbm", 0.7),
            *(result("wide", auc, model="aitm", seed=seed) for seed, auc in enumerate((0.8, 0.82))),
            result("narrow", 0.6, model="aitm"),
        )
        part = part_of(table_of(found, subject="wide", published=self.KNOWN), "As others report it")
        assert "all 3 counts are those of Shop as published" in part
        assert "| reported by | model | click | here | buy | here |" in part
        assert row_of(part, "the paper") == "| the paper | aitm |  | 0.7100 | 0.6525 | 0.8100 |"
        assert row_of(part, "a port") == "| a port | dbmtl | 0.6000 |  | 0.6500 |  |"

    def test_a_run_that_did_not_learn_is_marked_there_too(self):
        found = with_unlearnt(gathered(result("aitm", 0.7), result("lightgbm", 0.7)), ("aitm", 0))
        part = part_of(table_of(found, published=self.KNOWN), "As others report it")
        assert "| 0.6525 | 0.7000 (did not learn probabilities) |" in row_of(part, "the paper")

    def test_nothing_stands_there_where_nothing_is_reported(self):
        assert "As others report it" not in table_of(board(aitm=[0.8], lightgbm=[0.7]))


class TestFindings:
    def sentences(self, *, reference="lightgbm", **aucs):
        summary = summary_of(board(**aucs), reference=reference)
        return "\n".join(findings(summary, steps=STEPS, main_steps=("buy",), reference=reference, subject="aitm"))

    def test_the_leader_and_the_subject_against_the_best_baseline(self):
        told = self.sentences(**AUCS | {"ple": [0.76, 0.752, 0.771]})
        assert "`aitm` is the best run on buy: AUC 0.7900 ± 0.0100 over 3 seeds, 0.0290 above `ple`." in told
        assert "`aitm` against the best baseline on buy, `ple`: +0.0290, p = " in told

    def test_a_subject_that_loses_is_said_to_lose(self):
        told = self.sentences(aitm=[0.70, 0.71], ple=[0.76, 0.765])
        assert "`ple` is the best run on buy" in told
        assert "`ple`: -0.0575, p = " in told

    def test_runs_below_the_reference_are_named_with_their_gap(self):
        told = self.sentences(aitm=[0.785], ple=[0.7], logistic=[0.79], reference="logistic")
        assert "Below the reference (`logistic`, 0.7900) on buy: `aitm` (0.7850), `ple` (0.7000, outside its " in told
        above = self.sentences(aitm=[0.8], logistic=[0.79], reference="logistic")
        assert "No run lies below the reference (`logistic`) on buy." in above

    def test_a_leader_within_chance_is_not_called_the_best(self):
        told = self.sentences(**AUCS)
        assert (
            "No run is clearly the best on buy: `aitm` has the highest AUC, 0.7900 ± 0.0100 over 3 seeds, but cannot "
            "be told apart from `ple`."
        ) in told
        assert "the best run" not in told

    def test_a_run_is_better_than_the_reference_only_beyond_its_interval(self):
        told = self.sentences(aitm=[0.82], ple=[0.805], lightgbm=[0.79])
        assert "Better than the reference (`lightgbm`, 0.7900) on buy, beyond its interval: `aitm` (0.8200)." in told
        assert "Above the reference (`lightgbm`, 0.7900) on buy, but not beyond its interval: `ple` (0.8050)." in told

    def test_without_an_interval_nothing_is_outside_it(self):
        found = board(aitm=[0.7], logistic=[0.79])
        found.comparison.loc[found.comparison["metric"] == "auc_low", "value"] = np.nan
        summary = summary_of(found, reference="logistic")
        told = "\n".join(findings(summary, steps=STEPS, main_steps=("buy",), reference="logistic", subject="aitm"))
        assert "on buy: `aitm` (0.7000)." in told


class TestBestRun:
    def best(self, found, **roles):
        return best_run(summary_of(found, **roles), step="buy")

    def test_the_first_the_second_and_whether_they_overlap(self):
        best = self.best(board(aitm=[0.80], ple=[0.75], logistic=[0.7]))
        assert best.first == ("aitm", 0.8, pytest.approx(0.78), pytest.approx(0.82), 1)
        assert best.second[:2] == ("ple", 0.75)
        assert (best.overlap, best.tied) == (False, ())
        near = self.best(board(aitm=[0.80], ple=[0.79], logistic=[0.77]))
        assert (near.overlap, near.tied) == (True, ("ple", "logistic"))

    def test_several_seeds_have_a_standard_deviation(self):
        best = self.best(board(aitm=[0.80, 0.82], ple=[0.7, 0.71]))
        assert best.first.text == "0.8100 ± 0.0141 over 2 seeds"
        assert self.best(board(aitm=[0.8], ple=[0.7])).first.text == "0.8000 [0.7800, 0.8200]"

    def test_alone_or_without_any(self):
        alone = summary_of(gathered(result("aitm", 0.8), oracle()))
        assert best_run(alone, step="buy").second is None
        assert describe_best(alone, step="buy") == "`aitm` is the only run on buy: AUC 0.8000 [0.7800, 0.8200]."
        failed = with_unlearnt(gathered(result("aitm", 0.8), result("ple", 0.9)), ("aitm", 0), ("ple", 0))
        assert self.best(failed) is None
        assert describe_best(summary_of(failed), step="buy") is None

    def test_neither_the_oracle_nor_a_run_that_did_not_learn_is_second(self):
        found = with_unlearnt(gathered(result("aitm", 0.8), result("ple", 0.79), result("mmoe", 0.7)), ("ple", 0))
        assert self.best(found).second.run == "mmoe"

    def test_a_summary_that_was_read_from_a_file_says_the_same(self):
        summary = summary_of(board(**AUCS))
        again = pd.read_csv(io.StringIO(summary.to_csv(index=False)))
        assert describe_best(again, step="buy") == describe_best(summary, step="buy")


def test_pipeline_reads_every_run_without_a_warning_and_draws():
    parameters = {"runs": dict.fromkeys(("lightgbm", "aitm", "logistic")), "seeds": {"benchmark": [0, 1]}}
    runs = resolve_runs(parameters | {"reference": "logistic", "explain": "aitm"})
    chosen = runs.keys("benchmark")
    data = {}
    for run, seed in chosen:
        if (run.name, seed) != ("lightgbm", 1):
            told = result(run.name, 0.7 + 0.01 * seed, seed=seed, deterministic=run.is_deterministic)
            placed = with_provenance(placements(seed), told.provenance)
            for what, value in (("metrics", told), ("placements", placed)):
                data.setdefault(f"{run.name}_results@{what}", {})[seed] = lambda value=value: value
    current = {
        split: Fingerprints(whole, "t1", None) for split, whole in (("train", "d1"), ("valid", "v1"), ("test", ""))
    }
    data |= {f"{split}_examples@fingerprint": found for split, found in current.items()}
    data |= {
        "oracle_metrics": oracle(),
        "params:funnel": Funnel(steps=STEPS, main_steps=("buy",), segment="region"),
        "feature_check": None,
        "params:validation": ValidationOptions(),
        "params:training": Training(),
        "params:evaluation": Evaluation(),
        "counts_report": None,
        "params:published": Published(),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        catalog = DataCatalog({name: MemoryDataset(value) for name, value in data.items()})
        results = SequentialRunner().run(create_pipeline(runs, chosen), catalog)
    table = results["comparison_table"].load()
    assert "99 test rows (positives: 30 of click, 30 of buy)" in table
    assert "± 0.0071" in table
    assert "- No results of lightgbm with seed 1: not in the comparison." in table
    assert "aitm against | buy |" in table
    assert {"comparison_figure", "segment_figure"} <= set(results)


def test_a_run_in_which_nothing_is_drawn_is_compared_once_whatever_seeds_it_had():
    first = result("logistic", 0.7, seed=0, deterministic=True)
    again = result("logistic", 0.7, seed=7, deterministic=True, day=1)
    found = gather([(("aitm", 0), result("aitm", 0.8)), (("logistic", 0), first), (("logistic", 7), again)])
    seeds = found.comparison.loc[found.comparison["run"] == "logistic", "seed"]
    assert set(seeds) == {7}


def test_results_that_were_judged_otherwise_than_the_newest_are_left_out():
    def with_level(metrics, level):
        provenance = metrics.provenance.model_copy(update={"parameters": {"evaluation": {"confidence": level}}})
        return metrics.model_copy(update={"provenance": provenance})

    old, new = with_level(result("ple", 0.7), 0.95), with_level(result("aitm", 0.8, day=1), 0.9)
    found = gather([(("ple", 0), old), (("aitm", 0), new)])
    assert set(found.comparison["run"]) == {"aitm"}
    assert found.notes.confidence == 0.9
    assert any(
        "ple (seed 0) were judged with other parameters under 'evaluation'" in note for note in found.notes.notes
    )
