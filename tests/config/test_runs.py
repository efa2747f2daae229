"""Runs come from the configuration: variants beside each other, seeds, and sentences for what cannot be."""

import pytest

from aitm_kedro.config.runs import resolve_runs
from aitm_kedro.core.errors import InputError
from aitm_kedro.learning.network_options import AITMOptions

RUNS = {
    "lightgbm": {},
    "aitm": None,
    "aitm_no_calibrator": {"model": "aitm", "options": {"preset": "paper", "alpha": 0}},
    "logistic": {},
}


def resolve(**parameters):
    return resolve_runs({"runs": RUNS, "reference": "lightgbm", "explain": "aitm"} | parameters)


def test_variants_of_a_model_stand_beside_each_other_in_the_order_of_the_file():
    runs = resolve()
    assert [(run.name, run.model) for run in runs.runs] == [
        ("lightgbm", "lightgbm"),
        ("aitm", "aitm"),
        ("aitm_no_calibrator", "aitm"),
        ("logistic", "logistic"),
    ]
    assert runs.find("aitm").options == AITMOptions()
    assert runs.find("aitm_no_calibrator").options == AITMOptions(preset="paper", alpha=0)
    assert runs.find("aitm_no_calibrator").changed_options() == {"preset": "paper", "alpha": 0.0}


def test_options_are_laid_over_the_block_of_the_model():
    block = {"preset": "paper", "alpha": 0.3, "tower": {"layers": [8, 4], "dropout": [0.1, 0.2]}}
    variant = {"model": "aitm", "options": {"alpha": 0, "tower": {"kind": "deepfm"}}}
    other = {"model": "aitm", "options": {"tower": "nfm"}}
    runs = resolve(aitm=block, runs={"aitm": {}, "variant": variant, "other": other}, reference="aitm")
    plain, changed, other = (run.options for run in runs.runs)
    assert (plain.alpha, plain.tower.kind, plain.tower.layers) == (0.3, "mlp", (8, 4))
    assert (changed.alpha, changed.tower.kind, changed.tower.layers) == (0, "deepfm", (8, 4))
    assert (other.alpha, other.tower.kind, other.tower.layers) == (0.3, "nfm", (128, 64, 32))


def test_seeds_of_all_of_one_and_of_what_draws_nothing():
    runs = resolve(runs=RUNS | {"slow": {"model": "ple", "seeds": [7]}}, seeds={"full": [1], "benchmark": [1, 2]})
    assert [(run.name, seed) for run, seed in runs.keys("full")] == [
        ("lightgbm", 1), ("aitm", 1), ("aitm_no_calibrator", 1), ("logistic", 1), ("slow", 7),
    ]  # fmt: skip
    often = [(run.name, seed) for run, seed in runs.keys("benchmark")]
    assert often == [
        ("lightgbm", 1), ("lightgbm", 2), ("aitm", 1), ("aitm", 2), ("aitm_no_calibrator", 1),
        ("aitm_no_calibrator", 2), ("logistic", 1), ("slow", 7),
    ]  # fmt: skip


def test_a_tower_by_its_bare_name_keeps_its_kind_under_options():
    run = {"model": "mlp", "options": {"tower": {"layers": [8, 4, 2]}}}
    runs = resolve(mlp={"tower": "nfm"}, runs={"narrow": run}, reference="narrow", explain=None)
    assert (runs.runs[0].options.tower.kind, runs.runs[0].options.tower.layers) == ("nfm", (8, 4, 2))


def test_the_runs_that_may_score():
    seeds = {"full": [7], "benchmark": [0, 1]}
    names = [(run.name, seed) for run, seed in resolve(seeds=seeds, scoring={"run": "aitm"}).scorers()]
    assert names == [("aitm", 0), ("aitm", 1), ("aitm", 7)]
    assert [seed for _, seed in resolve(seeds=seeds, scoring={"run": "aitm", "seed": 7}).scorers()] == [7]


def test_nothing_need_be_explained():
    assert resolve(explain=None).explain is None


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"runs": {"aitn": {}}}, "The run 'aitn' is wrong: 'aitn' is no registered model; did you mean 'aitm'?"),
        ({"runs": {"mine": {"model": "tabnet"}}}, "'tabnet' is no registered model; choose among lightgbm, mlp"),
        ({"runs": {"aitm": {"option": {}}}}, "runs.aitm.option is unknown; did you mean 'options'?"),
        (
            {"runs": {"aitm": {"options": {"alhpa": 0}}}},
            "runs.aitm.options.alhpa is unknown; did you mean 'alpha'?",
        ),
        (
            {"runs": {"x": {"model": "ple", "options": {"q": 0}}}},
            "runs.x.options.q is unknown; known are embedding_dim",
        ),
        (
            {"runs": {"aitm": {"options": {"alpha": -1}}}},
            "runs.aitm.options.alpha must be a number, at least 0; it is -1",
        ),
        ({"runs": {"aitm": {"seeds": [0, 1, 0]}}}, "The parameter runs.aitm.seeds has 0 twice"),
        ({"seeds": {"benchmark": [3, 3]}}, "The parameter seeds.benchmark has 3 twice"),
        ({"seeds": {"full": []}}, "The parameter seeds.full is empty; name at least one seed"),
        ({"seeds": {"full": [-1]}}, "The parameter seeds.full has -1; a seed is a whole number from 0 on"),
        ({"seeds": {"full": [0.5]}}, r"seeds.full\[0\] must be a whole number, below 2147483648; it is 0.5"),
        ({"runs": {}}, "The parameter runs is empty"),
        ({"reference": "ple"}, "The parameter reference names the run 'ple', but the runs are lightgbm, aitm"),
        (
            {"explain": "ple"},
            "The parameter explain names the run 'ple', but the runs are .* or to null",
        ),
        ({"reference": None}, "The parameter reference names the run 'None', but the runs are"),
        ({"scoring": {"run": "ple"}}, "The parameter scoring.run names the run 'ple', but the runs are .* or to null"),
        ({"runs": {"aitm": {}, "AITM": {"model": "aitm"}}}, "Two runs are called 'aitm' and 'AITM'"),
        ({"seeds": {"full": [True]}}, r"seeds.full\[0\] must be a whole number, below 2147483648; it is true"),
        ({"seeds": {"full": [2**31]}}, r"seeds.full\[0\] must be a whole number, below 2147483648; it is"),
        ({"runs": {"oracle": {"model": "aitm"}}}, "A run is called 'oracle', which stands for the truth"),
        ({"runs": {"my.run": {"model": "aitm"}}}, "A run is called 'my.run'; use letters, digits and underscores"),
        ({"runs": {"a_seed1": {"model": "aitm"}}}, "A run is called 'a_seed1'; .* no '_seed' inside"),
    ],
)
def test_runs_that_cannot_be(parameters, sentence):
    with pytest.raises(InputError, match=sentence.replace("'?", r"'\?")):
        resolve(**parameters)


BLEND = {"model": "ensemble", "options": {"members": ["aitm", "logistic"]}}


def with_ensemble(run=BLEND, runs=RUNS, **parameters):
    return resolve(runs=runs | {"blend": run}, **parameters)


def members(runs, scope):
    """Of every seed of the ensemble."""
    seeds = {run.name: runs.seeds_of(run, scope) for run in runs.runs}
    blend = runs.find("blend")
    return {seed: blend.members_of(seed, seeds) for seed in seeds["blend"]}


def test_an_ensemble_blends_members_of_its_own_seed_and_what_draws_nothing():
    runs = with_ensemble(seeds={"full": [1], "benchmark": [1, 2]})
    assert [run.name for run in runs.find("blend").members] == ["aitm", "logistic"]
    assert members(runs, "full") == {1: [("aitm", 1), ("logistic", 1)]}
    assert members(runs, "benchmark") == {1: [("aitm", 1), ("logistic", 1)], 2: [("aitm", 2), ("logistic", 1)]}
    assert not runs.find("blend").is_deterministic


def test_an_ensemble_of_all_seeds_has_one():
    options = {"members": ["aitm", "logistic"], "seeds": "all"}
    runs = with_ensemble({"model": "ensemble", "options": options}, seeds={"full": [1], "benchmark": [1, 2]})
    assert runs.find("blend").is_deterministic
    assert members(runs, "benchmark") == {1: [("aitm", 1), ("aitm", 2), ("logistic", 1)]}


def test_an_ensemble_of_what_draws_nothing_has_one_seed():
    runs = with_ensemble(
        {"model": "ensemble", "options": {"members": ["naive_bayes", "logistic"]}}, RUNS | {"naive_bayes": {}}
    )
    assert members(runs, "benchmark") == {0: [("naive_bayes", 0), ("logistic", 0)]}


@pytest.mark.parametrize(
    ("run", "runs", "sentence"),
    [
        (
            {"model": "ensemble", "options": {"members": ["aitm", "logisitc"]}},
            RUNS,
            "The ensemble 'blend' has the member 'logisitc', which is no run; did you mean 'logistic'?",
        ),
        (
            {"model": "ensemble", "options": {"members": ["aitm", "other"]}},
            RUNS | {"other": BLEND},
            "The ensemble 'blend' has the member 'other', which is an ensemble itself; name the members of 'other' "
            "instead.",
        ),
        (
            {"model": "ensemble", "options": {"members": ["aitm", "blend"]}},
            RUNS,
            "The ensemble 'blend' has the member 'blend', which is an ensemble itself; name the members of 'blend' "
            "instead.",
        ),
        (
            BLEND,
            RUNS | {"aitm": {"seeds": [7]}},
            "The ensemble 'blend' has the seed 0 in 'full', but its member 'aitm' has 7; give both the same "
            "(runs.blend.seeds), or set runs.blend.options.seeds to all.",
        ),
    ],
)
def test_members_that_cannot_be(run, runs, sentence):
    with pytest.raises(InputError) as caught:
        with_ensemble(run, runs)
    assert str(caught.value) == sentence
