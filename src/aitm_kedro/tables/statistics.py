"""Size and rates of the encoded splits: the paper's Table 1 for the data of a run, and what is too small in it."""

import logging
from collections.abc import Mapping

import ibis.expr.types as ir
import pandas as pd

from aitm_kedro.core.funnel import Funnel
from aitm_kedro.tables.sentences import counted, join_names

logger = logging.getLogger(__name__)

FEW_POSITIVES = 50
"""With fewer positives (or negatives) of a main step in a split, what is learnt or measured there is mostly noise."""

_CONSEQUENCES = {
    "train": "models can hardly learn that; take a longer log, or name an earlier step in funnel.main_steps",
    "valid": "early stopping and the choice of the best model are left to chance; enlarge validation (parameter "
    "'split'), take a longer log, or name an earlier step in funnel.main_steps",
    "test": "intervals will be wide, and models hard to tell apart; enlarge test (parameter 'split') or take a longer "
    "log",
}
"""What too few positives mean in each split, and what to change."""

_ONE_CLASS = (
    "nothing can be learnt or judged of that there, so take a longer log, split it otherwise, or take the step out "
    "of funnel.steps"
)


def count_positives(table: ir.Table, funnel: Funnel) -> pd.Series:
    """Number of rows under 'rows', and of the positives of each step under its name; int64 [1 + T]."""
    counts = {"rows": table.count(), **{f"positives_{step}": table[step].sum() for step in funnel.steps}}
    found: pd.Series = table.aggregate(**counts).to_pandas().iloc[0].fillna(0).astype("int64")
    return found.set_axis(["rows", *funnel.steps])


def describe_dataset(examples: Mapping[str, ir.Table], vocabulary: ir.Table, funnel: Funnel) -> pd.DataFrame:
    """Tasks, rows, % positive of each step, fields and vocabulary rows, one row a split; warns of too few labels.

    Args:
        examples: encoded examples of 'train', 'valid' and 'test', as models see them.
        vocabulary: its table.
        funnel: the steps.
    """
    size = vocabulary.aggregate(fields=vocabulary["feature"].nunique(), rows=vocabulary.count()).to_pandas().iloc[0]
    lines = []
    for name, table in examples.items():
        counts = count_positives(table, funnel)
        warn_of_few_labels(name, counts, funnel)
        lines.append(
            {
                "split": name,
                "tasks": len(funnel.steps),
                "rows": int(counts["rows"]),
                **{f"positive_{step}_%": 100 * counts[step] / counts["rows"] for step in funnel.steps},
                "fields": int(size["fields"]),
                "vocabulary_rows": int(size["rows"]),
            }
        )
    return pd.DataFrame(lines)


def warn_of_few_labels(split: str, counts: pd.Series, funnel: Funnel) -> None:
    """Warn where every row of a split agrees on a step, or few have a main step, or few have it not.

    Args:
        split: 'train', 'valid' or 'test'.
        counts: ``count_positives`` of it.
        funnel: the steps.
    """
    rows, name = int(counts["rows"]), "validation" if split == "valid" else split
    never = [f"'{step}'" for step in funnel.steps if counts[step] == 0]
    if never:
        logger.warning(f"The {counted(rows, 'row')} of {name} have no positives of {join_names(never)}; {_ONE_CLASS}.")
    always = [f"'{step}'" for step in funnel.steps if counts[step] == rows]
    if always:
        logger.warning(f"The {counted(rows, 'row')} of {name} have no negatives of {join_names(always)}; {_ONE_CLASS}.")
    few = [_few(step, int(counts[step]), rows) for step in funnel.ordered_main_steps]
    found = [text for text in few if text]
    if found:
        logger.warning(
            f"Among its {rows:,} rows, {name} has only {join_names(found)}, fewer than {FEW_POSITIVES}: "
            f"{_CONSEQUENCES[split]}."
        )


def _few(step: str, positives: int, rows: int) -> str:
    """The class of which there are some, but few, such as "12 positives of 'buy'"; empty if there is none."""
    count, kind = min((positives, "positive"), (rows - positives, "negative"))
    if not 0 < count < FEW_POSITIVES:
        return ""
    return f"{counted(count, kind)} of '{step}'"
