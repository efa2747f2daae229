"""Bad arguments end in a sentence."""

import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.sources.simulation import Settings, file_name
from aitm_kedro.sources.simulation.intercepts import truth_at
from aitm_kedro.sources.simulation.settings import Rates


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"impressions": 0}, "impressions is 0"),
        ({"impressions": 2.5}, "impressions is 2.5"),
        ({"impressions": True}, "impressions is True"),
        ({"preset": "huge"}, "preset 'huge'.*base, industrial"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"chunk_rows": 10}, "chunk_rows is 10"),
        ({"rates": {"clicks": 0.1}}, "names 'clicks'.*click, application"),
        ({"rates": {"click": "many"}}, "'click' is 'many'"),
        ({"rates": {"click": 0.001}}, "do not fall"),
        ({"rates": {"click": 1.5}}, "do not fall"),
        ({"noise": {"illegal": 2}}, "'illegal' is 2"),
        ({"noise": {"mud": 0.1}}, "names 'mud'"),
        ({"noise": [1]}, "noise"),
        ({"preset": ["base"]}, "preset"),
    ],
)
def test_wrong_values_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        Settings.of(**({"impressions": 10_000} | wrong))


def test_a_rate_that_no_intercept_reaches_is_named():
    with pytest.raises(InputError, match="rate of activation"):
        truth_at(Rates(click=0.9, application=0.8, approval=0.5, activation=0.499))


def test_every_setting_has_its_own_file():
    usual = {"impressions": 10_000}
    others = [
        {"impressions": 10_001},
        {"seed": 1},
        {"preset": "industrial"},
        {"chunk_rows": 4096},
        {"rates": {"click": 0.3}},
        {"noise": {"illegal": 0.0}},
    ]
    names = [file_name(Settings.of(**(usual | other))) for other in [{}, *others]]
    assert len(set(names)) == len(names)
    assert file_name(Settings.of(**usual)) == names[0]
