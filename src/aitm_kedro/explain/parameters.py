"""Parameters of the figures."""

from pydantic import Field

from aitm_kedro.core.parameters import Parameters


class Reporting(Parameters):
    """Figures."""

    tsne_rows: int = Field(500, ge=10, description="positives and negatives a step, at most")
    transfer_rows: int = Field(500, ge=4, description="rows a label group in the transfer figure, at most")
    seed: int = 0
