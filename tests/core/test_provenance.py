"""Where a result comes from, as JSON."""

from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from aitm_kedro.core import provenance as module
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import (
    NodeCost,
    Provenance,
    Result,
    RunRecord,
    Source,
    check_made_from,
    fingerprint_of,
    library_versions,
    provenance_of_table,
    with_provenance,
)
from aitm_kedro.learning.parameters import Training


def test_it_holds_every_parameter_with_its_defaults_as_json() -> None:
    funnel = Funnel(steps=("click", "buy"), main_steps=("buy",), observed_until=datetime(2024, 3, 1))
    before = datetime.now(UTC)
    made = Provenance.now(
        data={"train": "abc"},
        parameters={"funnel": funnel, "training": Training(task_weights={"buy": 2}), "model": "aitm", "none": None},
    )
    assert before <= made.made <= datetime.now(UTC)
    assert made.data == {"train": "abc"}
    assert made.parameters["model"] == "aitm"
    assert made.parameters["funnel"]["steps"] == ["click", "buy"]
    assert made.parameters["funnel"]["observed_until"] == "2024-03-01T00:00:00"
    assert made.parameters["training"] == Training(task_weights={"buy": 2}).model_dump(mode="json")
    assert made.parameters["training"]["batch_size"] == "auto"
    assert made.libraries == library_versions()
    assert Provenance.model_validate_json(made.model_dump_json()) == made


def test_a_table_keeps_its_provenance_in_parquet(tmp_path: Path) -> None:
    made = Provenance.now(data={"test": "abc", "vocabulary": None}, parameters={"model": "aitm"})
    assert made.data == {"test": "abc"}
    table = with_provenance(pd.DataFrame({"click": [0.5]}), made)
    table.to_parquet(tmp_path / "table")
    assert provenance_of_table(pd.read_parquet(tmp_path / "table").attrs) == made
    assert provenance_of_table(pd.DataFrame().attrs) is None
    assert provenance_of_table({"provenance": {"rows": "abc"}}) is None


def test_what_a_result_was_made_from_is_what_it_is_used_with() -> None:
    made: dict[Source, str] = {"test": "abc", "weights": "123"}
    check_made_from("the predictions", made, {"test": "abc"}, advice="predict again")
    with pytest.raises(
        InputError,
        match=r"^the predictions were made from other weights than what is loaded now \(content 123, now 456\); pred",
    ):
        check_made_from("the predictions", made, {"test": "abc", "weights": "456"}, advice="predict again")
    with pytest.raises(InputError, match=r"from another vocabulary than .* \(content not known, now 1\)"):
        check_made_from("the predictions", made, {"vocabulary": "1"}, advice="predict again")
    with pytest.raises(InputError, match=r"from other test rows than .* \(content abc, now not known\)"):
        check_made_from("the predictions", made, {"test": None}, advice="predict again")


def test_a_fingerprint_is_of_values_and_not_of_fields_that_a_version_adds() -> None:
    class Old(Result):
        rows: int

    class New(Old):
        columns: int = 0

    assert fingerprint_of(Old(rows=1)) == fingerprint_of(New(rows=1)) != fingerprint_of(New(rows=1, columns=1))
    assert fingerprint_of(Old(rows=1)) != fingerprint_of(Old(rows=2))


def test_versions_of_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    found = library_versions()
    assert found["torch"] == metadata.version("torch")
    assert {"python", "numpy", "lightgbm", "scikit-learn"} <= found.keys()
    monkeypatch.setattr(module, "LIBRARIES", ("numpy", "no-such-library"))
    assert library_versions().keys() == {"python", "numpy"}


def test_results_do_not_change_and_know_their_keys() -> None:
    class Found(Result):
        rows: int

    found = Found(rows=3)
    with pytest.raises(ValidationError, match="frozen"):
        found.rows = 4
    with pytest.raises(ValidationError, match="Extra inputs"):
        Found.model_validate({"rows": 3, "columns": 4})
    with pytest.raises(ValidationError, match="Field required"):
        Found.model_validate({})


def test_the_record_of_a_run_is_read_as_it_was_written() -> None:
    record = RunRecord(
        finished=datetime(2024, 3, 1, tzinfo=UTC),
        run={"env": "test", "pipelines": ["full"]},
        commit=None,
        libraries={"python": "3.12"},
        machine={"cores": 2},
        parameters={"seed": 1},
        datasets={"metrics": "2024-03-01T00.00.00.000Z"},
        nodes={"train": NodeCost(seconds=1.5, peak_gigabytes=0.2)},
    )
    assert RunRecord.model_validate_json(record.model_dump_json()) == record
