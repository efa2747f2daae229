"""The project's pictures: one a file, each a function from data to a Matplotlib figure.

Figures are made without pyplot, so that drawing leaves no state behind and works in any thread.
"""

from aitm_kedro.figures.calibration import draw_calibration
from aitm_kedro.figures.comparison import draw_comparison
from aitm_kedro.figures.funnel import Rates, Stage, draw_funnel, rates_of, stages_of
from aitm_kedro.figures.learning_curves import draw_learning_curves
from aitm_kedro.figures.segments import draw_segments
from aitm_kedro.figures.transfer_weights import draw_transfer_weights
from aitm_kedro.figures.tsne import draw_tsne

__all__ = [
    "Rates",
    "Stage",
    "draw_calibration",
    "draw_comparison",
    "draw_funnel",
    "draw_learning_curves",
    "draw_segments",
    "draw_transfer_weights",
    "draw_tsne",
    "rates_of",
    "stages_of",
]
