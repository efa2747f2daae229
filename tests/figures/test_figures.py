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
from aitm_kedro.figures.style import join_words, percent

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


def is_drawn(figure: Figure) -> bool:
    return float(picture(figure)[..., :3].std()) > 0.01


def history(steps, epochs=5):
    validations = [
        {
            "epoch": epoch / 2,
            "train_loss": 1 / epoch,
            "valid_auc": dict.fromkeys(steps, 0.7 + 0.01 * epoch),
            "best": epoch <= 2,
        }
        for epoch in range(1, epochs + 1)
    ]
    return {"validations": validations, "best_epoch": 1.0}


@ALL
def test_learning_curves(steps):
    figure = figures.draw_learning_curves(history(steps), steps=steps, main_steps=steps[-1:])
    assert is_drawn(figure)
    assert "AITM was best after 1 epoch\n" in words(figure)
    assert all(step in words(figure) for step in steps)


def test_learning_curves_of_one_validation_with_an_undefined_step():
    log = history(("click", "buy"), epochs=1)
    log["validations"][0]["valid_auc"]["buy"] = None
    figure = figures.draw_learning_curves(log, steps=("click", "buy"), main_steps=("click",))
    assert is_drawn(figure)
    assert "buy (undefined)" in words(figure)
    empty = figures.draw_learning_curves({"validations": []}, steps=("click",), main_steps=("click",))
    assert "no validation was recorded" in words(empty)


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
    figure = figures.draw_tsne(table, steps=steps, main_steps=main, rows=12)
    assert is_drawn(figure)
    assert all(f"{step}: 12 positives, 12 negatives\n" in words(figure) + "\n" for step in main)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_tsne_of_too_few_rows_says_so(rows):
    table = pd.concat([points("click", True, 20), points("buy", False, rows)])
    figure = figures.draw_tsne(table, steps=("click", "buy"), main_steps=("click", "buy"), rows=20)
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
    figure = figures.draw_transfer_weights(table, steps=steps)
    assert is_drawn(figure)
    expected = "n = 40 of 400" if parts else "'visit' is the only step: nothing is transferred"
    assert expected in words(figure)


def test_transfer_weights_of_small_and_empty_groups_survive_a_csv_file():
    table = pd.read_csv(io.StringIO(weights(("click", "buy"), (5, 2, 0)).to_csv(index=False)))
    figure = figures.draw_transfer_weights(table, steps=("click", "buy"))
    assert is_drawn(figure)
    assert all(label in words(figure) for label in ("00: n = 5 of 50", "10: n = 2 of 20", "11: n = 0 of 0"))


@ALL
def test_calibration(steps):
    rng = np.random.default_rng(0)
    shares = rng.beta(1, 20, 4000)
    labels = rng.random(4000) < shares / 3
    kinds = {"raw": shares, "corrected": shares / 3}
    table = pd.concat(tabulate_reliability(labels, kinds, step=step, bins=10) for step in steps)
    assert is_drawn(figures.draw_calibration(table, steps=steps))


def compared(steps, *, seeds=(0, 1, 2), models=("lightgbm", "ple", "aitm", "logistic", "oracle")):
    """Tidy table, summary and segments of a few models."""
    random = np.random.default_rng(0)
    runs = [(model, seed) for model in models for seed in (seeds if model not in ("logistic", "oracle") else (0,))]
    rows = [(m, s, step, "auc", 0.7 + 0.1 * random.random()) for m, s in runs for step in steps]
    tidy = pd.DataFrame(rows, columns=["model", "seed", "step", "metric", "value"])
    low, high = (
        tidy.assign(metric=name, value=tidy["value"] + shift)
        for name, shift in (("auc_low", -0.01), ("auc_high", 0.01))
    )
    tidy = pd.concat([tidy, low, high], ignore_index=True)
    parts = [tidy[tidy["metric"] == "auc"].assign(segment=name) for name in ("Bank A", "Bank B", "Bank C")]
    segments = pd.concat([*parts, *(part.assign(metric="positives", value=1234) for part in parts)], ignore_index=True)
    segments.loc[(segments["segment"] == "Bank C") & (segments["metric"] == "auc"), "value"] = np.nan
    return tidy, summarise(tidy, {}, steps=steps), segments


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
@ALL
def test_comparison(steps, seeds):
    tidy, summary, _ = compared(steps, seeds=seeds)
    figure = figures.draw_comparison(summary, tidy, steps=steps)
    assert is_drawn(figure)
    assert all(word in words(figure) for word in (*steps, "lightgbm", "oracle", "logistic"))
    assert ("over the seeds" if len(seeds) > 1 else "DeLong's interval") in words(figure)


def test_comparison_of_a_step_with_one_class():
    tidy, _, _ = compared(("click", "buy"))
    tidy.loc[tidy["step"] == "buy", "value"] = np.nan
    figure = figures.draw_comparison(summarise(tidy, {}, steps=("click", "buy")), tidy, steps=("click", "buy"))
    assert "test has only one class of 'buy'" in words(figure)


@ALL
def test_segments(steps):
    _, _, segments = compared(steps)
    figure = figures.draw_segments(segments, steps=steps, segment="bank", min_positives=10)
    assert is_drawn(figure)
    assert all(word in words(figure) for word in (*steps, "Bank A\n1,234", "within each bank", "fewer than 10"))
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert len(shown) == 2 * 5 * len(steps)  # none for Bank C


def test_segments_of_a_funnel_without_any():
    empty = pd.DataFrame(columns=["model", "seed", "segment", "step", "metric", "value"])
    figure = figures.draw_segments(empty, steps=("buy",), segment=None, min_positives=10)
    assert "the funnel has no segments" in words(figure)


def test_calibration_of_what_never_happened():
    table = tabulate_reliability(np.zeros(9), {"raw": np.linspace(0, 0.5, 9)}, step="buy", bins=3)
    assert "'buy' never happened in test" in words(figures.draw_calibration(table, steps=("buy",)))


def reports(steps, after=600):
    def count(rows):
        return {"rows": rows, "steps": {step: {"positives": rows // 10, "rate": 0.1} for step in steps}}

    ingestion = {
        "rows_in": 5000,
        "rows_out": 4000,
        "rows_aside": {"exact_duplicates": 100, "other_duplicates": 20, "immature": 880},
    }
    sampling = {split: {"before": count(1000), "after": count(after)} for split in ("train", "valid")}
    lines = [{"split": "test", "rows": 2000} | {f"positive_{step}_%": 0.35 for step in steps}]
    return ingestion, {"rows_out": 3990}, sampling, pd.DataFrame(lines)


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


def test_funnel_without_downsampling_has_no_samples():
    ingestion, labels, sampling, statistics = reports(("buy",), after=1000)
    stages = figures.stages_of(ingestion, labels, sampling, statistics)
    assert [stage.name for stage in stages][-3:] == ["train", "valid", "test"]
    assert list(figures.rates_of(sampling, statistics, steps=("buy",))) == ["test", "train"]


def test_funnel_with_nothing_in_it():
    nothing = {"test": figures.Rates(0, {"buy": 0})}
    assert is_drawn(figures.draw_funnel([figures.Stage("raw log", 0)], nothing, steps=("buy",)))
    assert "no stage was reported" in words(figures.draw_funnel([], {}, steps=("buy",)))


def test_numbers_as_readers_want_them():
    assert [percent(share) for share in (0.2249, 0.022, 0.0025, 0.00025, 0)] == [
        "22.5 %",
        "2.2 %",
        "0.25 %",
        "0.025 %",
        "0 %",
    ]
    assert [join_words(list(text)) for text in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
