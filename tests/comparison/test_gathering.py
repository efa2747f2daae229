"""Results of rows that are no longer there are left out, and placements are paired with their own metrics."""

import pandas as pd
import pytest
from tests.comparison.test_comparison import oracle, placements, result

from aitm_kedro.comparison.gathering import LEARNT, Current, gather, pair_placements
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Fingerprints
from aitm_kedro.core.provenance import with_provenance

NOW = Current(
    train=Fingerprints("d1", "-", None), valid=Fingerprints("v1", "-", None), test=Fingerprints("-", "t1", None)
)
NEXT = NOW._replace(train=Fingerprints("d2", "-", None))


def compare(*results, current=NOW, reference="lightgbm", missing=(), pipelines=None):
    found = [((metrics.run, metrics.seed), metrics) for metrics in results] + [(key, None) for key in missing]
    return gather(found, current=current, reference=reference, pipelines=pipelines)


class TestStale:
    def test_results_of_other_rows_are_left_out_however_new_and_named_with_the_command(self):
        found = compare(
            result("lightgbm", 0.7),
            result("aitm", 0.8),
            result("ple", 0.9, data="d2", day=9),
            result("esmm", 0.9, test_rows="t2", day=9),
            result("ple", 0.9, data="d2", seed=3),
            pipelines={("ple", 3): "benchmark"},
        )
        assert set(found.comparison["run"]) == {"lightgbm", "aitm"}
        assert found.notes.notes == (
            "The results of ple.seed0, esmm.seed0 come from other rows than the current examples and were left out; "
            "renew them: kedro run --pipelines=modelling --namespaces=ple.seed0,esmm.seed0",
            "The results of ple.seed3 come from other rows than the current examples and were left out; "
            "renew them: kedro run --pipelines=benchmark --namespaces=ple.seed3",
        )

    def test_the_truth_of_other_test_rows_is_left_out_too(self):
        old = oracle().model_copy(update={"provenance": result("x", 0.5, test_rows="t0").provenance})
        found = compare(result("lightgbm", 0.7), result("aitm", 0.8), old)
        assert set(found.comparison["run"]) == {"lightgbm", "aitm"}
        assert "--namespaces=oracle" in found.notes.notes[0]
        untold = old.model_copy(update={"test": None})
        assert compare(result("lightgbm", 0.7), result("aitm", 0.8), untold).notes.notes == ()

    def test_a_stale_reference_ends_in_a_sentence(self):
        with pytest.raises(
            InputError,
            match=r"the comparison lacks its reference 'lightgbm'\. The results of lightgbm\.seed0, aitm\.seed0 "
            r"come from other rows .* --namespaces=lightgbm\.seed0,aitm\.seed0$",
        ):
            compare(result("lightgbm", 0.7), result("aitm", 0.8), current=NEXT, missing=[("ple", 1)])

    def test_a_missing_reference_ends_in_a_sentence(self):
        with pytest.raises(InputError, match=r"lacks its reference 'lightgbm'\. No results of lightgbm with seed 0"):
            compare(result("aitm", 0.8), result("ple", 0.8), missing=[("lightgbm", 0)])

    def test_a_reference_without_any_other_ends_in_a_sentence_unless_there_is_no_other(self):
        with pytest.raises(InputError, match=r"nothing to compare 'lightgbm' with\. .*--namespaces=aitm.seed0"):
            compare(result("lightgbm", 0.7), result("aitm", 0.8, data="d2"), oracle())
        assert set(compare(result("lightgbm", 0.7)).comparison["run"]) == {"lightgbm"}

    def test_where_no_examples_are_left_the_newest_result_says_what_is_current(self):
        found = compare(
            result("lightgbm", 0.7, data="d2", day=1),
            result("aitm", 0.7, data="d2", day=1),
            result("ple", 0.7),
            current=Current(),
        )
        assert set(found.comparison["run"]) == {"lightgbm", "aitm"}


class TestPlacements:
    def notes(self):
        return compare(result("lightgbm", 0.7), result("aitm", 0.8)).notes

    def test_those_of_the_same_predictions_are_paired(self, caplog):
        made = result("aitm", 0.8).provenance
        placed = {("aitm", 0): with_provenance(placements(), made), ("lightgbm", 0): None, ("ple", 0): placements()}
        paired = pair_placements(placed, self.notes())
        assert paired["aitm", 0] is placed["aitm", 0]
        assert paired["lightgbm", 0] is None
        assert paired["ple", 0] is None  # not in the comparison
        assert not caplog.text

    @pytest.mark.parametrize("made", [None, result("aitm", 0.8, test_rows="t0").provenance])
    def test_others_are_named_with_the_command(self, made, caplog):
        table = placements() if made is None else with_provenance(placements(), made)
        assert pair_placements({("aitm", 0): table}, self.notes()) == {("aitm", 0): None}
        assert "The placements of aitm.seed0 are of other predictions than its metrics" in caplog.text
        assert "kedro run --from-nodes=aitm.seed0.evaluate" in caplog.text


def test_what_did_not_learn_is_a_metric_and_a_sentence():
    bad = [
        result(run, 0.6).model_copy(update={"learnt": False, "ranks": ranks})
        for run, ranks in (("aitm", False), ("ple", True))
    ]
    good = result("lightgbm", 0.7).model_copy(update={"learnt": True})
    found = compare(good, *bad, result("old", 0.7))
    tidy: pd.DataFrame = found.comparison[found.comparison["metric"] == LEARNT]
    assert tidy.set_index("run")["value"].to_dict() == {"lightgbm": 1, "aitm": 0, "ple": 0}
    assert tidy["step"].isna().all()
    first, second = found.notes.notes
    assert first.startswith("aitm.seed0 did not learn: the log loss on validation is not below that of constant")
    assert second.startswith("ple.seed0 ranks but did not learn probabilities: ")
    others = [bad[1], bad[1].model_copy(update={"run": "mmoe"})]
    (said,) = compare(good, *others).notes.notes
    assert said.startswith("ple.seed0, mmoe.seed0 rank but did not learn probabilities: ")


def test_only_networks_are_told_to_change_their_training():
    bad = result("logistic", 0.5, click=0.5)
    parameters = {name: value for name, value in bad.trained.parameters.items() if name != "training"}
    bad = bad.model_copy(update={"learnt": False, "trained": bad.trained.model_copy(update={"parameters": parameters})})
    (said,) = compare(result("lightgbm", 0.7), bad).notes.notes
    assert said.endswith("; try other options of the model, or another model.")
    assert "training.batch_size" not in said


class TestChanged:
    def wanted(self, metrics, **changed):
        parameters = {**metrics.trained.parameters, **changed}
        return NOW._replace(parameters={metrics.run: parameters})

    def test_results_of_other_parameters_are_compared_and_named(self):
        old = result("aitm", 0.8, options={"alpha": 0.6, "tower": {"kind": "mlp", "layers": (2, 1)}})
        options = {"alpha": 0.3, "tower": {"kind": "nfm", "layers": [2, 1]}}
        found = compare(result("lightgbm", 0.7), old, current=self.wanted(old, options=options))
        assert set(found.comparison["run"]) == {"lightgbm", "aitm"}
        assert found.notes.notes == (
            "The results of aitm.seed0 were trained with other parameters than those of now (options.alpha 0.6, now "
            "0.3, options.tower.kind mlp, now nfm) and are compared as they are; to train with those of now: kedro run "
            "--pipelines=modelling --namespaces=aitm.seed0",
        )

    def test_many_changes_are_counted(self):
        old = result("aitm", 0.8)
        new = self.wanted(old, options={"a": 1, "b": 2, "c": 3})
        (note,) = compare(result("lightgbm", 0.7), old, current=new).notes.notes
        assert "(options.embedding_dim 5, now not there, " in note
        assert " and 1 more) and are compared" in note

    @pytest.mark.parametrize(
        "changed", [{}, {"training": {"batch_size": 2000, "threads": 8}}, {"options_changed": {"alpha": 1}}]
    )
    def test_the_same_parameters_and_another_machine_make_no_difference(self, changed):
        old = result("aitm", 0.8)
        assert compare(result("lightgbm", 0.7), old, current=self.wanted(old, **changed)).notes.notes == ()

    def test_results_of_other_steps_are_left_out(self):
        (note, *_) = compare(
            result("lightgbm", 0.7), result("aitm", 0.8), current=NOW._replace(steps=("buy",))
        ).notes.notes or ("",)
        assert note == ""
        with pytest.raises(InputError, match=r"of lightgbm \(seed 0\), aitm \(seed 0\) are of other steps than funnel"):
            compare(result("lightgbm", 0.7), result("aitm", 0.8), current=NOW._replace(steps=("click", "rent")))


@pytest.mark.parametrize(
    ("missing", "is_usual"),
    [
        ([("lightgbm", 1), ("aitm", 1), ("aitm", 2)], True),
        ([("aitm", 1)], True),  # the other has nothing drawn, and needs no second seed
        ([("ple", 0)], False),
        ([("ple", 1)], False),
        ([("lightgbm", 0), ("aitm", 1)], False),
    ],
)
def test_seeds_that_no_run_has_are_no_reason_to_worry(missing, is_usual):
    found = compare(
        result("logistic", 0.7), result("lightgbm", 0.7, seed=3), result("aitm", 0.8), reference=None, missing=missing
    )
    assert bool(found.usual) == is_usual
    assert len(found.notes.notes) >= 1
