"""The results of an evaluation, as they are written and read."""

from pydantic import Field

from aitm_kedro.core.provenance import Provenance, Result

ORACLE = "oracle"
"""Reserved name of the run that ranks by the true probabilities, where a simulated source knows them."""


TRAINING_FACTS = ("parameters", "epochs", "best_epoch", "seconds_per_epoch", "seconds")
"""What a comparison tells of a training."""


class StepMetrics(Result):
    """One step over all rows that have a weight above 0. What is undefined is None, and ``note`` says why."""

    positives: int
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    average_precision: float | None
    log_loss: float | None
    calibration_error: float | None
    mean_predicted: float | None
    rate: float | None
    note: str | None = None


class SegmentMetrics(Result):
    """One step within one segment."""

    rows: int
    positives: int
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    note: str | None = None


class Evaluated(Result):
    """What ``evaluation.metrics.evaluate_predictions`` says of the predictions of every step."""

    rows: int
    steps: dict[str, StepMetrics]
    segments: dict[str, dict[str, SegmentMetrics]] = Field(default_factory=dict)
    order_violations: dict[str, float | None] = Field(
        default_factory=dict, description="later step -> share of rows where it is predicted above the step before"
    )


class Metrics(Result):
    """A run with one seed, or the oracle, judged on test."""

    run: str
    model: str | None = Field(None, description="of the registry; None: the oracle")
    seed: int | None = None
    deterministic: bool = Field(False, description="nothing in it is drawn: it stands against every seed of the others")
    test: Evaluated | None = Field(None, description="None, with a note: there was nothing to judge")
    training: dict[str, float] = Field(
        default_factory=dict, description="parameters, epochs, best_epoch, seconds_per_epoch, seconds"
    )
    learnt: bool | None = Field(
        None, description="whether it says more of validation than constant probabilities do; None: not a learner"
    )
    ranks: bool | None = Field(
        None, description="whether it orders validation rows better than chance; None: as learnt"
    )
    trained: Provenance | None = Field(None, description="where the trained model comes from")
    note: str | None = None
    provenance: Provenance
