"""What others report for the same data, beside one's own run."""

from collections.abc import Sequence

import pandas as pd

from aitm_kedro.core.published import Published


def tabulate_published(summary: pd.DataFrame, published: Published, *, verdict: str, steps: Sequence[str]) -> list[str]:
    """Paragraphs in Markdown: the reported AUC of each step, and that of this run's model of the same name.

    Args:
        summary: of ``comparison.summarise``.
        published: what is reported.
        verdict: whether this run's data are the original.
        steps: names in funnel order.

    Returns:
        The paragraphs; none if nothing is reported.
    """
    if not published.results:
        return []
    own = dict(zip(zip(summary["model"], summary["step"], strict=True), summary["auc"], strict=True))
    heads = [cell for step in steps for cell in (step, "this run")]
    lines = [
        "| " + " | ".join(["reported by", "model", *heads]) + " |",
        "| " + " | ".join(["---", "---", *["---:"] * len(heads)]) + " |",
    ]
    for result in published.results:
        cells = [result.by, result.model]
        for step in steps:
            cells += [_shown(result.auc.get(step)), _shown(own.get((result.model, step)))]
        lines.append("| " + " | ".join(cells) + " |")
    words = (
        f"AUC on the test split of {published.source} as others report it, and of this run's model of the same name. "
        f"Of this run's data: {verdict}."
    )
    return ["## As others report it", words, "\n".join(lines)]


def _shown(auc: float | None) -> str:
    return "" if auc is None or pd.isna(auc) else f"{auc:.4f}"
