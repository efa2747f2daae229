"""Parameters of scoring."""

from pydantic import Field

from aitm_kedro.core.parameters import Parameters


class Scoring(Parameters):
    """Which run scores the audience."""

    run: str | None = Field(None, description="name of a run; null: the one that is best on validation")
    seed: int | None = Field(None, ge=0, description="of the run; null: the best of its seeds")
