"""Every figure renders, for any number of steps, with rows missing, and says what it should."""

import io
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from aitm_kedro import figures
from aitm_kedro.comparison.summary import summarise
from aitm_kedro.evaluation.reliability import tabulate_reliability
from aitm_kedro.explain.representations import ADDED, AIT, ORIGINAL, lay_out
from aitm_kedro.explain.transfer_weights import COLUMNS, GROUPS, summarise_weights
from aitm_kedro.figures.segments import AMONG_BEST, BELOW, BEST, judge
from aitm_kedro.figures.style import join_words, new_figure, percent
from aitm_kedro.learning.history import History
from aitm_kedro.tables.reports import (
    BeforeAndAfter,
    CountsBySegment,
    IngestionReport,
    KeepRates,
    LabelReport,
    RowsAside,
    SamplingReport,
    step_counts,
)

STEPS = {1: ("visit",), 2: ("click", "purchase"), 4: ("click", "application", "approval", "activation")}
ALL = pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())


def picture(figure: Figure) -> np.ndarray:
    """The figure as saved and read again."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    buffer.seek(0)
    return image.imread(buffer)


def words(figure: Figure) -> str:
    """All text of a figure that is shown."""
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def told(figure: Figure) -> str:
    """All text of a figure that is shown, however its lines are broken."""
    return " ".join(words(figure).split())


def is_drawn(figure: Figure) -> bool:
    return float(picture(figure)[..., :3].std()) > 0.01


DECIDED = {"decided_by": "main_auc"}


def history(steps, epochs=5, **of):
    validations = [
        {
            "epoch": epoch / 2,
            "rows": 1000 * epoch,
            "seconds": 1.0 * epoch,
            "train_loss": 1 / epoch,
            "valid_auc": dict.fromkeys(steps, 0.7 + 0.01 * epoch),
            "deciding": 0.7,
            "best": epoch <= 2,
        }
        for epoch in range(1, epochs + 1)
    ]
    facts = {"seconds": 9.0, "rows_per_second": 10.0, "parameters": 5, "train_rows": 10, "valid_rows": 5}
    return History(
        **facts
        | {"validations": validations, **DECIDED, "steps": steps, "deciding_steps": steps, "best_epoch": 1.0}
        | of
    )


def lines_labelled(figure, label):
    return [line for axes in figure.axes for line in axes.lines if line.get_label() == label]


def improving(steps, epochs):
    """Validations of whole epochs, of which the last is the best."""
    validations = history(steps, epochs=epochs).validations
    return [
        entry.model_copy(update={"epoch": float(place), "best": True}) for place, entry in enumerate(validations, 1)
    ]


def test_a_cap_on_training_is_told_from_a_stop_by_patience():
    def draw(**of):
        log = history(STEPS[2], **of)
        return figures.draw_learning_curves(log, run="aitm", steps=STEPS[2], main_steps=STEPS[2])

    stopped, capped = draw(stopped_by="patience"), draw(stopped_by="max_epochs")
    unfinished = draw(stopped_by="max_epochs", validations=improving(STEPS[2], 3))
    assert "Training stopped because the validation AUC of click and purchase improved no more." in told(stopped)
    assert "Stopped by max_epochs, before patience ran out" in told(capped)
    assert "The last epoch was the best: more of them may help." in told(unfinished)
    assert "may help" not in told(capped)
    assert [len(lines_labelled(figure, "stopped by max_epochs")) for figure in (stopped, capped)] == [0, 2]
    assert [line.get_xdata()[0] for line in lines_labelled(capped, "stopped by max_epochs")] == [2.5, 2.5]
    assert all(map(is_drawn, (stopped, capped, unfinished)))


@pytest.mark.parametrize("alone", [True, False])
def test_the_log_loss_is_drawn_where_it_decides(alone):
    log = history(STEPS[2], decided_by="log_loss", stopped_by="patience")
    if not alone:
        parts = {step: history((step,), decided_by="log_loss") for step in STEPS[2]}
        log = history((), validations=(), parts=parts)
    figure = figures.draw_learning_curves(log, run="aitm", steps=STEPS[2], main_steps=STEPS[2])
    middle = figure.axes[1]
    assert middle.get_title(loc="left") == "Validation log loss, which decides"
    assert list(middle.lines[0].get_ydata()) == [0.7] * 5
    expected = "Training stopped because the validation log loss of click and purchase improved no more."
    assert (expected if alone else "Each network stops when the validation log loss of its step") in told(figure)
    assert is_drawn(figure)


def test_a_cap_on_one_of_several_networks_is_crossed_and_named():
    parts = {step: history((step,), stopped_by="patience") for step in STEPS[2]}
    parts["click"] = history(("click",), validations=improving(("click",), 3), stopped_by="max_epochs")
    log = history((), validations=(), parts=parts)
    figure = figures.draw_learning_curves(log, run="mlp", steps=STEPS[2], main_steps=STEPS[2])
    assert "Cross: stopped by max_epochs instead (click); best at that epoch, so more may help: click." in told(figure)
    crosses = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "x"]
    assert [line.get_xdata()[0] for line in crosses] == [3, 3]


def test_names_of_lines_that_end_together_all_stay_inside_the_axes():
    figure = figures.draw_learning_curves(history(STEPS[4]), run="a", steps=STEPS[4], main_steps=STEPS[4])
    low, high = figure.axes[1].get_ylim()
    places = [text.xy[1] for text in figure.axes[1].texts]
    assert len(places) == 4
    assert len(set(places)) == 4
    assert low < min(places) < max(places) <= high


@ALL
def test_learning_curves(steps):
    figure = figures.draw_learning_curves(history(steps), run="small", steps=steps, main_steps=steps[-1:])
    assert is_drawn(figure)
    assert "small was best after 1 epoch\n" in words(figure)
    assert all(step in words(figure) for step in steps)


def test_learning_curves_of_one_validation_with_an_undefined_step():
    entry = history(("click", "buy"), epochs=1).validations[0]
    log = history((), validations=(entry.model_copy(update={"valid_auc": {"click": 0.7, "buy": None}}),))
    figure = figures.draw_learning_curves(log, run="aitm", steps=("click", "buy"), main_steps=("click",))
    assert is_drawn(figure)
    assert "buy (undefined)" in words(figure)


def test_learning_curves_of_independent_networks_show_each_of_them():
    parts = {step: history((step,), epochs=3 + place) for place, step in enumerate(STEPS[4])}
    log = history((), validations=(), parts=parts)
    figure = figures.draw_learning_curves(log, run="mlp", steps=STEPS[4], main_steps=STEPS[4][-2:])
    assert is_drawn(figure)
    assert "mlp in training: 4 independent networks" in words(figure)
    loss, auc = figure.axes
    assert all(step in [text.get_text() for text in axes.texts] for axes in (loss, auc) for step in STEPS[4])
    assert len(loss.lines) == len(auc.lines) == 2 * 4  # a curve and a ring each


def test_a_training_without_validations_says_what_was_chosen():
    chosen = {"click": {"inverse_l2": 0.1, "valid_auc": {"0.01": 0.70123, "0.1": 0.7512, "1": None}}}
    log = history((), validations=(), chosen=chosen)
    figure = figures.draw_learning_curves(log, run="logistic", steps=("click", "buy"), main_steps=("buy",))
    assert is_drawn(figure)
    assert "logistic has no learning curves" in words(figure)
    assert "click\ninverse_l2 0.1\nvalid_auc 0.01: 0.7012, 0.1: 0.7512, 1: undefined" in words(figure)
    nothing = figures.draw_learning_curves(
        history((), validations=()), run="b", steps=("click",), main_steps=("click",)
    )
    assert "nothing was chosen by validation" in words(nothing)


def points(step, first, rows):
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], rows)
    names = [AIT] if first else [ORIGINAL, ADDED, AIT]
    components = {name: rng.normal(size=(2 * rows, 6)) for name in names}
    return lay_out(components, labels, rng.random(2 * rows), step=step, seed=0)


@ALL
def test_tsne(steps):
    main = steps[-2:]
    table = pd.concat([points(step, step == steps[0], 12) for step in main])
    figure = figures.draw_tsne(table, run="aitm", steps=steps, main_steps=main, rows=12)
    assert is_drawn(figure)
    assert all(f"{step}: 12 positives, 12 negatives\n" in words(figure) + "\n" for step in main)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_tsne_of_too_few_rows_says_so(rows):
    table = pd.concat([points("click", True, 20), points("buy", False, rows)])
    figure = figures.draw_tsne(table, run="aitm", steps=("click", "buy"), main_steps=("click", "buy"), rows=20)
    assert is_drawn(figure)
    assert f"buy: {rows} positives, {rows} negatives (test has no more; 20 were wanted)" in words(figure)
    assert "too few rows to draw" in words(figure)


def weights(pair, sizes):
    rng = np.random.default_rng(0)
    return pd.concat(
        summarise_weights(
            rng.random(size), np.full(size, group[1]), rng.random(size), pair=pair, group=group, available=10 * size
        )
        for group, size in zip(GROUPS, sizes, strict=True)
    )


@ALL
def test_transfer_weights(steps):
    parts = [weights(pair, (40, 20, 9)) for pair in pairwise(steps)]
    table = pd.concat(parts) if parts else pd.DataFrame(columns=list(COLUMNS))
    figure = figures.draw_transfer_weights(table, run="aitm", steps=steps)
    assert is_drawn(figure)
    expected = "n = 40 of 400" if parts else "'visit' is the only step: nothing is transferred"
    assert expected in words(figure)


def test_transfer_weights_of_small_and_empty_groups_survive_a_csv_file():
    table = pd.read_csv(io.StringIO(weights(("click", "buy"), (5, 2, 0)).to_csv(index=False)))
    figure = figures.draw_transfer_weights(table, run="aitm", steps=("click", "buy"))
    assert is_drawn(figure)
    assert all(label in words(figure) for label in ("00: n = 5 of 50", "10: n = 2 of 20", "11: n = 0 of 0"))


def test_weights_that_are_flat_at_one_half_are_said_to_be():
    flat, chosen = weights(("click", "apply"), (40, 20, 9)), weights(("apply", "buy"), (40, 20, 9))
    flat = flat.assign(weight_mean=0.48, weight_std=0.02)
    table = pd.concat([flat, chosen])
    figure = figures.draw_transfer_weights(table, run="aitm", steps=("click", "apply", "buy"))
    noted = ["AIT has not learnt to choose" in " ".join(text.get_text() for text in axes.texts) for axes in figure.axes]
    assert noted == [True, False]


def test_calibration_without_downsampling_does_not_speak_of_it():
    shares = np.random.default_rng(0).beta(1, 20, 4000)
    labels = np.random.default_rng(1).random(4000) < shares
    both = tabulate_reliability(labels, {"raw": shares, "corrected": shares / 2}, step="buy", bins=10)
    same = tabulate_reliability(labels, {"raw": shares, "corrected": shares}, step="buy", bins=10)
    same = pd.read_csv(io.StringIO(same.to_csv(index=False)))
    corrected, plain = (figures.draw_calibration(table, run="aitm", steps=("buy",)) for table in (both, same))
    assert "corrected for downsampling" in words(corrected)
    assert "downsampling" not in words(plain)
    assert [len(figure.axes[0].lines) for figure in (corrected, plain)] == [3, 2]  # the diagonal, and the curves
    assert is_drawn(plain)


@ALL
def test_calibration(steps):
    rng = np.random.default_rng(0)
    shares = rng.beta(1, 20, 4000)
    labels = rng.random(4000) < shares / 3
    kinds = {"raw": shares, "corrected": shares / 3}
    table = pd.concat(tabulate_reliability(labels, kinds, step=step, bins=10) for step in steps)
    assert is_drawn(figures.draw_calibration(table, run="aitm", steps=steps))


RUNS = ("lightgbm", "ple", "aitm", "logistic", "oracle")
ROLES = {"reference": "logistic", "subject": "aitm"}


def compared(steps, *, seeds=(0, 1, 2), **roles):
    """Tidy table, summary and segments of a few runs."""
    random = np.random.default_rng(0)
    keys = [(run, seed) for run in RUNS for seed in (seeds if run not in ("logistic", "oracle") else (0,))]
    rows = [(run, run, seed, step, "auc", 0.7 + 0.1 * random.random()) for run, seed in keys for step in steps]
    tidy = pd.DataFrame(rows, columns=["run", "model", "seed", "step", "metric", "value"])
    low, high = (
        tidy.assign(metric=name, value=tidy["value"] + shift)
        for name, shift in (("auc_low", -0.01), ("auc_high", 0.01))
    )
    tidy = pd.concat([tidy, low, high], ignore_index=True)
    parts = [tidy[tidy["metric"] == "auc"].assign(segment=name) for name in ("Bank A", "Bank B", "Bank C")]
    counted = [part.assign(metric="positives", value=1234) for part in parts]
    ends = [
        part.assign(metric=name, value=part["value"] + shift)
        for part in parts
        for name, shift in (("auc_low", -0.01), ("auc_high", 0.01))
    ]
    segments = pd.concat([*parts, *counted, *ends], ignore_index=True)
    few = segments["segment"] == "Bank C"
    segments.loc[few & (segments["metric"] != "positives"), "value"] = np.nan
    segments.loc[few & (segments["metric"] == "positives"), "value"] = 7
    return tidy, summarise(tidy, {}, steps=steps, **(ROLES | roles)), segments


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
@ALL
def test_comparison(steps, seeds):
    tidy, summary, _ = compared(steps, seeds=seeds)
    figure = figures.draw_comparison(summary, tidy, steps=steps, **ROLES)
    assert is_drawn(figure)
    assert all(word in told(figure) for word in (*steps, "lightgbm", "oracle", "Dashed: the reference, logistic."))
    assert ("over the seeds" if len(seeds) > 1 else "DeLong's interval") in told(figure)


def test_runs_that_did_not_learn_are_greyed_and_do_not_stretch_the_axis():
    tidy, _, _ = compared(("buy",))
    failed = pd.DataFrame(
        {"run": "ple", "model": "ple", "seed": [0, 1, 2], "metric": "learnt", "value": [0.0, 0.0, 0.0]}
    )
    tidy.loc[(tidy["run"] == "ple") & (tidy["metric"] == "auc"), "value"] = 0.5
    tidy = pd.concat([tidy, failed], ignore_index=True)
    figure = figures.draw_comparison(summarise(tidy, {}, steps=("buy",), **ROLES), tidy, steps=("buy",), **ROLES)
    axes = figure.axes[0]
    assert "ple (did not learn)" in [label.get_text() for label in axes.get_yticklabels()]
    assert "Grey: did not learn." in told(figure)
    assert "◂ 0.5000" in words(figure)
    assert axes.get_xlim()[0] > 0.6
    assert is_drawn(figure)


def test_comparison_without_a_subject_and_without_results_of_the_reference():
    roles = {"reference": "gone", "subject": None}
    tidy, summary, _ = compared(("buy",), **roles)
    figure = figures.draw_comparison(summary, tidy, steps=("buy",), **roles)
    assert is_drawn(figure)
    assert "Dashed" not in words(figure)


def test_comparison_of_a_step_with_one_class():
    tidy, _, _ = compared(("click", "buy"))
    tidy.loc[tidy["step"] == "click", "value"] = np.nan
    summary = summarise(tidy, {}, steps=("click", "buy"), **ROLES)
    figure = figures.draw_comparison(summary, tidy, steps=("click", "buy"), **ROLES)
    assert "test has only one class of 'click'" in words(figure)
    assert is_drawn(figure)
    names = figure.axes[1].get_yticklabels()
    assert [label.get_text() for label in names if label.get_visible()] == [
        "lightgbm",
        "ple",
        "aitm",
        "logistic",
        "oracle",
    ]


def draw_segments(table, *, steps, segment="bank"):
    return figures.draw_segments(table, steps=steps, segment=segment, min_positives=10, confidence=0.95)


def in_segment(**runs):
    """AUC and half the width of its interval, of each run, in one segment."""
    rows = []
    for run, (auc, half) in runs.items():
        numbers = {"auc": auc, "auc_low": auc - half, "auc_high": auc + half, "positives": 50}
        rows += [(run, run, 0, "north", "buy", metric, value) for metric, value in numbers.items()]
    return pd.DataFrame(rows, columns=["run", "model", "seed", "segment", "step", "metric", "value"])


def test_a_segment_may_have_any_name(tmp_path):
    draw_segments(in_segment(a=(0.7, 0.02)).assign(segment=r"US$ $\frac$"), steps=("buy",)).savefig(tmp_path / "a.png")
    few = in_segment(a=(0.7, 0.02)).assign(segment="$_{$")
    few = few[few["metric"] == "positives"].assign(value=3.0)
    draw_segments(few, steps=("buy",)).savefig(tmp_path / "b.png")


def bold(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_fontweight() == "bold"]


def test_a_segment_has_a_winner_only_where_its_interval_is_above_all_others():
    clear = in_segment(a=(0.7, 0.02), b=(0.8, 0.02), oracle=(0.81, 0.02))
    assert bold(draw_segments(clear, steps=("buy",))) == [".800"]
    overlapping = in_segment(a=(0.7, 0.02), b=(0.8, 0.02), c=(0.765, 0.02))
    assert bold(draw_segments(overlapping, steps=("buy",))) == []
    unknown = in_segment(a=(0.7, np.nan), b=(0.8, 0.02))
    assert bold(draw_segments(unknown, steps=("buy",))) == []


def test_what_is_known_of_a_run_in_a_segment():
    auc, half = np.array([0.8, 0.77, 0.7, np.nan]), np.array([0.02, 0.02, 0.02, np.nan])
    assert judge(auc, auc - half, auc + half)[:3].tolist() == [AMONG_BEST, AMONG_BEST, BELOW]
    auc[1] = 0.75
    found = judge(auc, auc - half, auc + half)
    assert found[:3].tolist() == [BEST, BELOW, BELOW]
    assert np.isnan(found[3])
    assert np.isnan(judge(auc[3:], auc[3:], auc[3:])).all()


def test_segments_with_too_few_positives_are_named_in_a_note_alone():
    _, _, segments = compared(("buy",))
    figure = draw_segments(segments, steps=("buy",))
    assert "Left out, fewer than 10 positives: Bank C (7)." in told(figure)
    assert [label.get_text().split("\n")[0] for label in figure.axes[0].get_xticklabels()] == ["Bank A", "Bank B"]
    none = segments[segments["segment"] == "Bank C"]
    assert "no bank has 10 positives of 'buy' in test" in told(draw_segments(none, steps=("buy",)))


@ALL
def test_segments(steps):
    _, _, segments = compared(steps)
    figure = draw_segments(segments, steps=steps)
    assert is_drawn(figure)
    assert all(word in words(figure) for word in (*steps, "Bank A\n1,234\n±.010", "within each bank"))
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert len(shown) == 2 * 5 * len(steps)  # none for Bank C


def test_segments_of_a_funnel_without_any():
    empty = pd.DataFrame(columns=["run", "model", "seed", "segment", "step", "metric", "value"])
    figure = draw_segments(empty, steps=("buy",), segment=None)
    assert "the funnel has no segments" in words(figure)


def test_calibration_of_what_never_happened():
    table = tabulate_reliability(np.zeros(9), {"raw": np.linspace(0, 0.5, 9)}, step="buy", bins=3)
    assert "'buy' never happened in test" in words(figures.draw_calibration(table, run="aitm", steps=("buy",)))


def reports(steps, after=600):
    def count(rows):
        return CountsBySegment(rows=rows, steps=step_counts(dict.fromkeys(steps, rows // 10), rows), segments={})

    ingestion = IngestionReport(
        rows_in=5000, rows_out=4000, rows_aside=RowsAside(exact_duplicates=100, other_duplicates=20, immature=880),
        labels_from="columns", windows_days=None, first_impression=None, last_impression=None, source={},
    )  # fmt: skip
    labels = LabelReport(
        policy="drop", rows_in=4000, rows_out=3990, rows_aside=10, rows_repaired=0, legal={}, illegal={}, steps={}
    )
    split = BeforeAndAfter(before=count(1000), after=count(after))
    sampling = SamplingReport(positive_share=0.1, seed=0, keep_rates=KeepRates(overall=0.5), train=split, valid=split)
    lines = [{"split": "test", "rows": 2000} | {f"positive_{step}_%": 0.35 for step in steps}]
    return ingestion, labels, sampling, pd.DataFrame(lines)


@ALL
def test_funnel(steps):
    ingestion, labels, sampling, statistics = reports(steps)
    stages = figures.stages_of(ingestion, labels, sampling, statistics)
    assert [stage.rows for stage in stages] == [5000, 4880, 4000, 3990, 1000, 600, 1000, 600, 2000]
    rates = figures.rates_of(sampling, statistics, steps=steps)
    assert rates["test"].positives == dict.fromkeys(steps, 7)
    assert rates["train sample"] == (600, dict.fromkeys(steps, 60))
    figure = figures.draw_funnel(stages, rates, steps=steps)
    assert is_drawn(figure)
    assert "0.35 %  (7)" in words(figure)
    assert "4,880  (97.6 %)" in words(figure)
    assert "downsampling makes the last steps less rare" in told(figure)


def test_funnel_draws_bars_from_zero_and_points_where_there_is_none():
    ingestion, labels, sampling, statistics = reports(STEPS[4])
    stages = figures.stages_of(ingestion, labels, sampling, statistics)
    figure = figures.draw_funnel(stages, figures.rates_of(sampling, statistics, steps=STEPS[4]), steps=STEPS[4])
    left, right = figure.axes
    assert left.get_xscale() == "linear"
    assert [bar.get_width() for bar in left.patches] == [stage.rows for stage in stages]
    assert {bar.get_x() for bar in left.patches} == {0}
    assert right.get_xscale() == "log"
    assert not right.patches


def test_funnel_without_downsampling_has_no_samples():
    ingestion, labels, sampling, statistics = reports(("buy",), after=1000)
    stages = figures.stages_of(ingestion, labels, sampling, statistics)
    assert [stage.name for stage in stages][-3:] == ["train", "valid", "test"]
    rates = figures.rates_of(sampling, statistics, steps=("buy",))
    assert list(rates) == ["test", "train"]
    assert "sampl" not in told(figures.draw_funnel(stages, rates, steps=("buy",)))


def test_funnel_with_nothing_in_it():
    nothing = {"test": figures.Rates(0, {"buy": 0})}
    assert is_drawn(figures.draw_funnel([figures.Stage("raw log", 0)], nothing, steps=("buy",)))
    assert "no stage was reported" in words(figures.draw_funnel([], {}, steps=("buy",)))


def test_numbers_as_readers_want_them():
    assert [percent(share) for share in (0.2249, 0.022, 0.0025, 0.00025, 1e-7, 0)] == [
        "22.5 %",
        "2.2 %",
        "0.25 %",
        "0.025 %",
        "< 0.0001 %",
        "0 %",
    ]
    assert [join_words(list(text)) for text in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]


def test_a_title_and_a_subtitle_are_broken_before_they_leave_the_figure():
    name = "a_run_with_a_name_that_is_rather_long: "
    figure = new_figure(width=5, height=3, title=name + "do probabilities come true?", subtitle="what is drawn " * 20)
    figure.canvas.draw()
    width, _ = figure.canvas.get_width_height()
    texts = [text for text in figure.texts if text.get_text().strip()]
    assert len(texts) == 2
    assert all(text.get_window_extent().x1 <= width for text in texts)
    title, subtitle = (text.get_window_extent() for text in texts)
    assert subtitle.y1 < title.y1
