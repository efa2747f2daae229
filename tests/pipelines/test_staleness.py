"""After another preparation, results of the one before are neither used nor compared, and are named."""

import pytest
from tests.test_project import cascade, own_project, run_here

RUNS = {"lightgbm": {}, "logistic": {}}


def sentence_of(result):
    return " ".join(result.output[result.output.rindex("Error: ") :].split())


@pytest.mark.end_to_end
def test_another_preparation_makes_results_old_until_they_are_renewed(project, monkeypatch, caplog):
    own_project(project, cascade(), runs=RUNS, explain="logistic")

    def run(*arguments, share=0.6):
        caplog.clear()
        return run_here(project, monkeypatch, *arguments, f"--params=split.train_share={share}")

    assert run("--pipelines=full").exit_code == 0
    assert run("--pipelines=preparation", share=0.3).exit_code == 0
    refused = run("--nodes=logistic.seed0.predict_test", share=0.3)
    assert refused.exit_code == 1
    assert "the weights of 'logistic.seed0' were made from another vocabulary" in sentence_of(refused)
    assert "kedro run --env=mine --from-nodes=logistic.seed0.train" in sentence_of(refused)

    compared = run("--pipelines=comparison", share=0.3)
    assert compared.exit_code == 1
    renew = "kedro run --env=mine --pipelines=modelling --namespaces=lightgbm.seed0,logistic.seed0"
    assert "the comparison lacks its reference 'lightgbm'." in sentence_of(compared)
    assert renew in sentence_of(compared)

    drawn = run("--pipelines=reporting", share=0.3)
    assert drawn.exit_code == 1
    assert "run it again before its figures are drawn" in sentence_of(drawn)

    # With the versions that belong together, what was refused works.
    old = {"test_examples@arrays": "05_model_input/mine/test_examples.parquet"}
    old["sampling_report"] = "08_reporting/mine/sampling_report.json"
    first = {name: min((project / "data" / path).iterdir()).name for name, path in old.items()}
    pinned = ",".join(f"{name}:{version}" for name, version in first.items())
    assert run("--nodes=logistic.seed0.predict_test", f"--load-versions={pinned}", share=0.3).exit_code == 0

    command = renew.removeprefix("kedro run ").split()
    assert run(*command, share=0.3).exit_code == 0
    assert run("--pipelines=comparison", share=0.3).exit_code == 0
    assert "come from other rows" not in caplog.text
