"""Attention weights of the information transferred from the step before (paper, section 5.6, Figure 6).

Test rows are grouped by what happened at two neighbouring steps: 00 (neither), 10 (the earlier alone), 11 (both).
Within a group they are ranked by the log loss of the later step, the best predicted first.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from aitm_kedro.evaluation.reliability import row_log_loss
from aitm_kedro.explain.representations import QUARTERS, quarter_of_rank

# N = rows of test, n = rows drawn

COLUMNS = (
    "quarter", "earlier", "later", "earlier_label", "later_label", "available", "drawn",
    "rows", "weight_mean", "weight_std", "log_loss_mean",
)  # fmt: skip
"""Columns of the table behind the figure."""


FLAT = 0.05
"""Weights this close to 0.5 say that AIT does not choose between the step before and the step's own tower. They are the
softmax of two scores: 0.5 +- 0.05 is a difference of at most 0.2 between them, so that neither side counts 1.23 times
the other. Before training the difference is about 0.01; what was learnt on a large log spans several units."""


class Drawn(NamedTuple):
    """Rows of a group.

    Attributes:
        rows: positions int64 [n], ascending.
        available: rows of the group in test, of which n were drawn.
    """

    rows: np.ndarray
    available: int


GROUPS = ((0, 0), (1, 0), (1, 1))
"""Labels of the earlier and the later step."""


def draw_groups(
    earlier: np.ndarray, later: np.ndarray, *, rows: int, rng: np.random.Generator
) -> dict[tuple[int, int], Drawn]:
    """Draw up to ``rows`` rows of each group, from all of them.

    Args:
        earlier: labels 0/1 [N] of a step.
        later: labels 0/1 [N] of the step after it.
        rows: of each group, at most.
        rng: source of chance.
    """
    drawn = {}
    for group in GROUPS:
        all_rows = np.flatnonzero((earlier == group[0]) & (later == group[1]))
        chosen = np.sort(rng.choice(all_rows, min(rows, len(all_rows)), replace=False))
        drawn[group] = Drawn(chosen, len(all_rows))
    return drawn


def summarise_weights(
    weights: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    *,
    pair: tuple[str, str],
    group: tuple[int, int],
    available: int,
) -> pd.DataFrame:
    """Mean and spread of the transferred information's weight along the ranking by log loss.

    Args:
        weights: float [n], w_p of eq. 8, in [0, 1].
        labels: 0/1 [n], of the later step.
        scores: float [n], the model's prediction of the later step.
        pair: names of the earlier and the later step.
        group: their labels, one of ``GROUPS``.
        available: rows of the group in test, of which n were drawn.

    Returns:
        One row a quarter: earlier, later, earlier_label, later_label, available, drawn, quarter (0 to 3), rows,
        weight_mean, weight_std, log_loss_mean. A quarter without rows has NaN.
    """
    losses = row_log_loss(labels, scores)
    frame = pd.DataFrame({"quarter": quarter_of_rank(losses), "weight": weights, "log_loss": losses})
    by_quarter = frame.astype({"weight": float}).groupby("quarter")
    table = pd.DataFrame(
        {
            "rows": by_quarter.size(),
            "weight_mean": by_quarter["weight"].mean(),
            "weight_std": by_quarter["weight"].std(ddof=0),
            "log_loss_mean": by_quarter["log_loss"].mean(),
        }
    ).reindex(range(len(QUARTERS)))
    table["rows"] = table["rows"].fillna(0).astype(int)
    names = {"earlier": pair[0], "later": pair[1], "earlier_label": group[0], "later_label": group[1]}
    names |= {"available": available, "drawn": len(weights)}
    return pd.DataFrame(names, index=table.index).join(table).rename_axis("quarter").reset_index()[list(COLUMNS)]


def flat_pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of steps between which AIT has not learnt to choose: all weights are within ``FLAT`` of 0.5.

    Args:
        table: rows of ``summarise_weights``.

    Returns:
        The earlier and the later step of each, in the order of the table; a pair without rows is not among them.
    """
    known = table[table["weight_mean"].notna()]
    reach = (known["weight_mean"] - 0.5).abs() + known["weight_std"]
    furthest = known.assign(reach=reach).groupby(["earlier", "later"], sort=False, as_index=False)["reach"].max()
    flat = furthest[furthest["reach"] <= FLAT]
    return list(zip(flat["earlier"], flat["later"], strict=True))
