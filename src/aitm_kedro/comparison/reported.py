"""What others report for the same data, beside one's own runs."""

from collections.abc import Sequence

import pandas as pd

from aitm_kedro.comparison.findings import unlearnt_marks
from aitm_kedro.core.published import Published


def tabulate_published(summary: pd.DataFrame, published: Published, *, verdict: str, steps: Sequence[str]) -> list[str]:
    """Paragraphs in Markdown: the reported AUC of each step, and that of the first run here of the same model.

    Args:
        summary: of ``comparison.summarise``.
        published: what is reported.
        verdict: whether the data here are the original.
        steps: names in funnel order.

    Returns:
        The paragraphs; none if nothing is reported.
    """
    if not published.results:
        return []
    own, marks = summary.drop_duplicates(["model", "step"]).set_index(["model", "step"]), unlearnt_marks(summary)
    aucs, runs = own["auc"].to_dict(), own["run"].to_dict()
    heads = [cell for step in steps for cell in (step, "here")]
    lines = [
        "| " + " | ".join(["reported by", "model", *heads]) + " |",
        "| " + " | ".join(["---", "---", *["---:"] * len(heads)]) + " |",
    ]
    for result in published.results:
        cells = [result.by, result.model]
        for step in steps:
            here, mark = (result.model, step), marks.get(runs.get((result.model, step), ""))
            cells += [_shown(result.auc.get(step)), _shown(aucs.get(here)) + (f" ({mark})" if mark else "")]
        lines.append("| " + " | ".join(cells) + " |")
    words = (
        f"AUC on the test split of {published.source} as others report it, and here, of the first run that trains the "
        f"model of the same name. Of the data here: {verdict}."
    )
    return ["## As others report it", words, "\n".join(lines)]


def _shown(auc: float | None) -> str:
    return "" if auc is None or pd.isna(auc) else f"{auc:.4f}"
