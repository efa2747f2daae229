"""Parameters of the evaluation."""

from pydantic import Field

from aitm_kedro.core.parameters import Parameters


class Evaluation(Parameters):
    """Metrics on the test split."""

    confidence: float = Field(0.95, gt=0, lt=1, description="level of the intervals")
    calibration_bins: int = Field(20, ge=2, description="bins of equal size of the expected calibration error")
    min_segment_positives: int = Field(10, ge=1, description="segments with fewer get no AUC of their own")
