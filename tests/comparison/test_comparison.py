"""Numbers of all models in one table, what they come to, the paper's Table 2, and the pipeline that makes them."""

import io
import warnings

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from scipy import stats

from aitm_kedro.comparison.markdown import tabulate, verdicts
from aitm_kedro.comparison.scores import SCORES, tidy_scores
from aitm_kedro.comparison.summary import gather, summarise
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.published import Published
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.significance import place_rows
from aitm_kedro.pipelines.comparison import create_pipeline

STEPS = ("click", "buy")
ROWS = 400
LABELS = np.random.default_rng(0).random((ROWS, 2)) < [0.4, 0.2]


def metrics(model, buy, *, seed=0, click=0.71, log_loss=0.02, test_rows="t1", judged="2024-01-01"):
    def of(value):
        return {
            "positives": 30,
            "auc": value,
            "auc_low": None if value is None else value - 0.02,
            "auc_high": None if value is None else value + 0.02,
            "average_precision": value,
            "log_loss": log_loss,
            "calibration_error": 0.001,
            "mean_predicted": 0.1,
            "rate": 0.1,
            "note": "No AUC.",
        }

    return {
        "model": model,
        "seed": seed,
        "rows": 99,
        "steps": {"click": of(click), "buy": of(buy)},
        "segments": {"north": {"buy": {"rows": 50, "positives": 12, "auc": buy}}},
        "order_violations": {"buy>click": 0.25},
        "test_rows": test_rows,
        "judged": judged,
    }


def history(model, *, data="d1", embedding_dim=5, **changed):
    return {
        "model": model,
        "data": data,
        "parameters": 1234,
        "epochs": 5.0,
        "best_epoch": 2.0,
        "seconds_per_epoch": 3.0,
        "seconds": 15.0,
        "settings": {"common": {"batch_size": 2000, "embedding_dim": embedding_dim}, "changed": changed},
    }


def scores(model, buy, **options):
    told = {name: options.pop(name) for name in ("data", "embedding_dim", "alpha") if name in options}
    return tidy_scores(metrics(model, buy, **options), history(model, **told) if model != "oracle" else None)


def board(**aucs):
    """One list of AUCs of "buy" a model, by seed; None: the run is missing."""
    tables = {
        f"{model}.seed{seed}": None if value is None else scores(model, value, seed=seed)
        for model, values in aucs.items()
        for seed, value in enumerate(values)
    }
    return gather(tables)


def placements(seed=0, *, noise=1.0):
    predicted = LABELS + noise * np.random.default_rng(seed).normal(size=LABELS.shape)
    return place_rows(LABELS.astype(np.uint8), predicted, steps=STEPS)


def table_of(gathered, placed=None, published=None):
    summary = summarise(gathered.comparison, placed or {}, steps=STEPS)
    return tabulate(
        summary,
        gathered.comparison,
        steps=STEPS,
        main_steps=("buy",),
        confidence=0.95,
        tested_on="99 rows",
        settings=gathered.settings,
        notes=gathered.notes,
        published=published or Published(),
        verdict="all 3 counts are those of Shop as published",
    )


def part_of(markdown, title):
    return markdown.split(f"## {title}")[1].split("\n## ")[0]


def row_of(markdown, model):
    return next(line for line in markdown.splitlines() if line.startswith(f"| {model}"))


class TestScores:
    def test_one_number_a_row(self):
        tidy = scores("aitm", 0.8, seed=3)
        assert list(tidy.columns) == list(SCORES)
        found = tidy.set_index(["step", "metric"])["value"]
        assert found["buy", "order_violations"] == 0.25
        assert tidy[(tidy["step"] == "buy") & (tidy["metric"] == "auc")]["value"].tolist() == [0.8, 0.8]  # and north
        assert set(tidy["seed"]) == {3}
        facts = tidy[tidy["step"].isna()].set_index("metric")["value"]
        assert facts["parameters"] == 1234
        assert '"batch_size": 2000' in tidy["settings"].iloc[0]
        assert facts["rows"] == 99

    def test_the_truth_has_no_seed_and_no_training(self):
        tidy = scores("oracle", 0.9, seed=None)
        assert tidy["seed"].isna().all()
        assert "parameters" not in set(tidy["metric"])

    def test_steps_may_have_any_name(self):
        told = metrics("aitm", 0.8)
        told["steps"] = {"age > 18": told["steps"]["click"], "buy|rent": told["steps"]["buy"]}
        told["order_violations"] = {"buy|rent>age > 18": 0.5}
        tidy = tidy_scores(told)
        assert tidy.loc[tidy["metric"] == "order_violations", "step"].tolist() == ["buy|rent"]

    def test_a_source_without_truth_has_no_rows(self):
        unknown = {"model": "oracle", "seed": None, "note": "no truth is known for this source", "steps": {}}
        gathered = gather({"aitm.seed0": scores("aitm", 0.8), "oracle": tidy_scores(unknown)})
        assert list(gathered.comparison["model"].unique()) == ["aitm"]
        assert gathered.comparison["value"].dtype == "float64"


class TestGather:
    def test_whole_and_segments_come_apart(self):
        gathered = board(aitm=[0.8], mmoe=[0.7])
        assert list(gathered.comparison.columns) == ["model", "seed", "step", "metric", "value"]
        assert set(gathered.segments["segment"]) == {"north"}
        assert gathered.notes == []

    def test_missing_results_are_named_and_the_rest_is_compared(self):
        gathered = board(aitm=[0.8, 0.81], mmoe=[0.7, None], ple=[None, None])
        assert set(gathered.comparison["model"]) == {"aitm", "mmoe"}
        assert gathered.notes == [
            "No results of mmoe with seed 1: not in the comparison.",
            "No results of ple with seeds 0, 1: not in the comparison.",
        ]
        assert "- No results of ple with seeds 0, 1: not in the comparison." in table_of(gathered)

    def test_results_from_other_data_than_the_newest_are_named_and_left_out(self):
        old = {"judged": "2023-12-31"}
        tables = {
            "ple.seed1": scores("ple", 0.8, data="d2", **old),
            "mmoe.seed0": scores("mmoe", 0.9, data="d2", **old),
            "esmm.seed0": scores("esmm", 0.9, test_rows="t2", **old),
            "aitm.seed0": scores("aitm", 0.8),
            "ple.seed0": scores("ple", 0.8),
            "oracle": scores("oracle", 0.9, seed=None, judged="2024-02-01"),
        }
        gathered = gather(tables)
        assert set(gathered.comparison["model"]) == {"aitm", "ple", "oracle"}
        assert gathered.notes == [
            "The results of ple.seed1, mmoe.seed0, esmm.seed0 come from other data than the newest and were left out; "
            "run benchmark again."
        ]

    def test_seeds_trained_otherwise_than_the_newest_are_named_and_left_out(self):
        tables = {
            "aitm.seed0": scores("aitm", 0.8, alpha=0.3, judged="2024-02-01"),
            "aitm.seed1": scores("aitm", 0.7, seed=1),
            "ple.seed0": scores("ple", 0.8),
        }
        gathered = gather(tables)
        assert set(gathered.comparison.loc[gathered.comparison["model"] == "aitm", "seed"]) == {0}
        assert gathered.notes == [
            "The results of aitm.seed1 were trained with other parameters than the newest of their model and were left "
            "out; run benchmark again."
        ]
        assert gathered.settings["aitm"]["changed"] == {"alpha": 0.3}

    def test_nothing_to_compare(self):
        with pytest.raises(InputError, match="run the modelling pipeline first"):
            gather({"aitm.seed0": None})


AUCS = {
    "lightgbm": [0.70, 0.71, 0.72],
    "ple": [0.76, 0.77, 0.75],
    "aitm": [0.79, 0.78, 0.80],
    "logistic": [0.74],
}


class TestSummary:
    def rows(self, **aucs):
        summary = summarise(board(**(aucs or AUCS)).comparison, {}, steps=STEPS)
        return summary[summary["step"] == "buy"].set_index("model")

    def test_means_gains_and_marks(self):
        rows = self.rows()
        assert rows["auc"].round(6).to_dict() == {"lightgbm": 0.71, "ple": 0.76, "aitm": 0.79, "logistic": 0.74}
        assert rows.loc["aitm", "auc_std"] == pytest.approx(0.01)
        assert rows.loc["aitm", "gain"] == pytest.approx(0.08)
        assert np.isnan(rows.loc["lightgbm", "gain"])
        assert rows.index[rows["best"]].tolist() == ["aitm"]
        assert rows.index[rows["best_baseline"]].tolist() == ["ple"]

    def test_the_t_test_is_paired_by_seed_and_the_yardstick_stands_against_every_seed(self):
        rows = self.rows()
        expected = stats.ttest_rel(AUCS["aitm"], AUCS["ple"]).pvalue
        assert rows.loc["ple", "p_seeds"] == pytest.approx(expected)
        against_one = stats.ttest_1samp(AUCS["aitm"], 0.74).pvalue
        assert rows.loc["logistic", "p_seeds"] == pytest.approx(against_one)

    def test_only_seeds_of_both_models_are_paired(self):
        rows = self.rows(aitm=[0.79, 0.78, 0.80], ple=[0.76, None, 0.75])
        assert rows.loc["ple", "p_seeds"] == pytest.approx(stats.ttest_rel([0.79, 0.80], [0.76, 0.75]).pvalue)

    def test_one_seed_leaves_the_test_over_seeds_blank_with_the_reason(self):
        rows = self.rows(aitm=[0.79], ple=[0.76])
        assert np.isnan(rows.loc["ple", "p_seeds"])
        assert "a test over seeds needs two at least" in rows.loc["ple", "note"]

    def test_without_the_subject_nothing_is_tested(self):
        rows = self.rows(lightgbm=[0.7, 0.71], ple=[0.76, 0.75])
        assert rows["lead"].isna().all()
        assert rows.index[rows["best"]].tolist() == ["ple"]

    def test_rows_are_tested_on_the_mean_over_seeds(self):
        gathered = board(aitm=[0.79, 0.78], ple=[0.76, 0.75])
        placed = {f"{m}.seed{s}": placements(10 * k + s) for k, m in enumerate(("aitm", "ple")) for s in (0, 1)}
        summary = summarise(gathered.comparison, placed, steps=STEPS)
        found = summary[(summary["step"] == "buy") & (summary["model"] == "ple")].iloc[0]
        parts = []
        for label, count in ((0, 99 - 30), (1, 30)):
            by_run = [
                placed[run].query(f"step == 'buy' and label == {label}")["placement"].to_numpy(float)
                for run in ("aitm.seed0", "aitm.seed1", "ple.seed0", "ple.seed1")
            ]
            paired = (by_run[0] + by_run[1]) / 2 - (by_run[2] + by_run[3]) / 2
            parts.append(paired.var(ddof=1) / count)
        assert found["lead_error"] == pytest.approx(sum(parts) ** 0.5)
        assert found["p_rows"] == pytest.approx(2 * stats.norm.sf(0.03 / sum(parts) ** 0.5))

    def test_placements_of_other_rows_are_not_compared(self):
        placed = {"aitm.seed0": placements(), "ple.seed0": placements().iloc[:-1]}
        summary = summarise(board(aitm=[0.79], ple=[0.76]).comparison, placed, steps=STEPS)
        found = summary[(summary["step"] == "buy") & (summary["model"] == "ple")].iloc[0]
        assert np.isnan(found["p_rows"])
        assert "no placements of the same rows" in found["note"]


class TestTable:
    def test_marks_and_gains(self):
        markdown = table_of(board(**AUCS))
        auc = part_of(markdown, "AUC on test")
        assert row_of(auc, "aitm") == "| aitm | 0.7100 ± 0.0000 | **0.7900** ± 0.0100 | +0.0800 |"
        assert "<ins>0.7600</ins> ± 0.0100" in row_of(auc, "ple")
        assert "0.7400 [0.7200, 0.7600]" in row_of(auc, "logistic (yardstick)")

    @pytest.mark.parametrize(
        ("aitm", "stars"),
        [
            ([0.790, 0.791, 0.789], " \\*\\*"),
            ([0.772, 0.763, 0.767], " \\*"),
            ([0.770, 0.750, 0.765], ""),
            ([0.690, 0.691, 0.689], ""),  # below, however surely, earns no star
        ],
    )
    def test_stars_are_for_a_lead_that_is_no_luck(self, aitm, stars):
        baseline = [0.760, 0.755, 0.758]
        p = stats.ttest_rel(aitm, baseline).pvalue
        assert {" \\*\\*": p < 0.01, " \\*": 0.01 < p < 0.05, "": p > 0.05 or aitm[0] < 0.7}[stars]
        cells = row_of(part_of(table_of(board(aitm=aitm, ple=baseline)), "AUC on test"), "aitm").split(" | ")
        assert cells[2].endswith(f"{np.std(aitm, ddof=1):.4f}{stars}")

    def test_a_lead_over_all_seeds_that_is_none_over_those_of_both_earns_no_star(self):
        gathered = board(aitm=[0.70, 0.7001, 0.9, 0.9, 0.9], ple=[0.75, 0.7502])
        assert "\\*" not in row_of(part_of(table_of(gathered), "AUC on test"), "aitm")

    def test_ceiling_comes_last_and_is_never_best(self):
        gathered = gather(
            {
                "oracle": scores("oracle", 0.9, seed=None),
                "logistic.seed0": scores("logistic", 0.79),
                "aitm.seed0": scores("aitm", 0.8),
            }
        )
        auc = part_of(table_of(gathered), "AUC on test")
        first_column = [line.split("|")[1].strip() for line in auc.splitlines() if line.startswith("| ")]
        assert first_column == ["model", "---", "aitm", "logistic (yardstick)", "oracle (ceiling: the truth)"]
        assert "**" not in row_of(auc, "oracle")

    def test_less_is_better_for_log_loss(self):
        gathered = gather(
            {
                "aitm.seed0": scores("aitm", 0.8, log_loss=0.03),
                "logistic.seed0": scores("logistic", 0.79, log_loss=0.01),
            }
        )
        probabilities = part_of(table_of(gathered), "Probabilities and order")
        assert "**0.01000**" in row_of(probabilities, "logistic")
        assert "| 0.03000 |" in row_of(probabilities, "aitm")
        assert row_of(probabilities, "aitm").endswith("| 25.00 % |")

    def test_cost_and_what_is_alike(self):
        markdown = table_of(board(aitm=[0.8], ple=[0.7]))
        assert row_of(part_of(markdown, "Cost"), "aitm") == "| aitm | 1,234 | 5.0 | 2.0 | 3.0 | 15 |"
        assert "Common to all networks: batch_size 2000, embedding_dim 5." in markdown
        assert "Options other than the defaults: none." in markdown

    def test_settings_that_differ_are_named(self):
        gathered = gather(
            {"aitm.seed0": scores("aitm", 0.8, embedding_dim=16, alpha=0.3), "ple.seed0": scores("ple", 0.7)}
        )
        assert "The networks differ in embedding_dim: aitm 16, ple 5." in table_of(gathered)
        assert "Options other than the defaults: aitm alpha 0.3." in table_of(gathered)

    def test_undefined_is_a_dash_and_said(self):
        tables = {f"{m}.seed0": scores(m, 0.8, click=None) for m in ("aitm", "logistic")}
        markdown = table_of(gather(tables))
        assert row_of(part_of(markdown, "AUC on test"), "aitm").startswith("| aitm | \N{EN DASH} |")
        assert "`click` has no AUC: test has only one class of it." in markdown

    def test_survives_csv_files(self):
        gathered = board(**AUCS)
        summary = summarise(gathered.comparison, {}, steps=STEPS)
        first, second = (
            tabulate(
                *tables,
                steps=STEPS,
                main_steps=("buy",),
                confidence=0.95,
                tested_on="99 rows",
                settings={},
                notes=[],
                published=Published(),
                verdict="",
            )
            for tables in (
                (summary, gathered.comparison),
                [pd.read_csv(io.StringIO(t.to_csv(index=False))) for t in (summary, gathered.comparison)],
            )
        )
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

    def test_what_others_report_stands_beside_the_own_model_of_the_same_name(self):
        text = table_of(board(aitm=[0.8, 0.82], lightgbm=[0.7, 0.7]), published=self.KNOWN)
        part = part_of(text, "As others report it")
        assert "all 3 counts are those of Shop as published" in part
        assert "| reported by | model | click | this run | buy | this run |" in part
        assert row_of(part, "the paper") == "| the paper | aitm |  | 0.7100 | 0.6525 | 0.8100 |"
        assert row_of(part, "a port") == "| a port | dbmtl | 0.6000 |  | 0.6500 |  |"

    def test_nothing_stands_there_where_nothing_is_reported(self):
        assert "As others report it" not in table_of(board(aitm=[0.8], lightgbm=[0.7]))


class TestVerdicts:
    def sentences(self, **aucs):
        summary = summarise(board(**aucs).comparison, {}, steps=STEPS)
        return "\n".join(verdicts(summary, steps=STEPS, main_steps=("buy",)))

    def test_the_leader_and_the_subject_against_the_best_baseline(self):
        told = self.sentences(**AUCS)
        assert "`aitm` is the best model on buy, 0.0300 above `ple`." in told
        assert "`aitm` against the best baseline on buy, `ple`: +0.0300, p = " in told

    def test_a_subject_that_loses_is_said_to_lose(self):
        told = self.sentences(aitm=[0.70, 0.71], ple=[0.76, 0.765])
        assert "`ple` is the best model on buy" in told
        assert "`ple`: -0.0575, p = " in told

    def test_models_below_the_yardstick_are_named_with_their_gap(self):
        told = self.sentences(aitm=[0.785], ple=[0.7], logistic=[0.79])
        assert "Below the yardstick (`logistic`, 0.7900) on buy: `aitm` (0.7850), `ple` (0.7000, outside its " in told
        assert "No model lies below the yardstick" in self.sentences(aitm=[0.8], logistic=[0.79])

    def test_without_an_interval_nothing_is_outside_it(self):
        gathered = board(aitm=[0.7], logistic=[0.79])
        gathered.comparison.loc[gathered.comparison["metric"] == "auc_low", "value"] = np.nan
        summary = summarise(gathered.comparison, {}, steps=STEPS)
        told = "\n".join(verdicts(summary, steps=STEPS, main_steps=("buy",)))
        assert "on buy: `aitm` (0.7000)." in told


def test_pipeline_reads_every_run_without_a_warning_and_draws():
    models, seeds = ("lightgbm", "aitm"), (0, 1)
    runs = [(model, seed) for model in models for seed in seeds] + [("logistic", 0)]
    data = {f"{model}_seed{seed}_scores": scores(model, 0.7 + 0.01 * seed, seed=seed) for model, seed in runs}
    data |= {f"{model}_seed{seed}_placements": placements(seed) for model, seed in runs}
    data |= {
        "oracle_scores": scores("oracle", 0.9, seed=None),
        "params:funnel": Funnel(steps=STEPS, main_steps=("buy",), segment="region"),
        "params:evaluation": Evaluation(),
        "counts_report": {},
        "params:published": Published(),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = create_pipeline(models=models, seeds=seeds)
        catalog = DataCatalog({name: MemoryDataset(value) for name, value in data.items()})
        results = SequentialRunner().run(pipeline, catalog)
    table = results["comparison_table"].load()
    assert "99 test rows (positives: 30 of click, 30 of buy)" in table
    assert "± 0.0071" in table
    assert {"comparison_figure", "segment_figure"} <= set(results)
