"""Size and rates of the encoded splits: the paper's Table 1 for the data of a run."""

from collections.abc import Mapping

import ibis.expr.types as ir
import pandas as pd

from aitm_kedro.core.funnel import Funnel


def describe_dataset(examples: Mapping[str, ir.Table], vocabulary: ir.Table, funnel: Funnel) -> pd.DataFrame:
    """Tasks, rows, % positive of each step, fields and vocabulary rows, one row a split."""
    size = vocabulary.aggregate(fields=vocabulary["feature"].nunique(), rows=vocabulary.count()).to_pandas().iloc[0]
    lines = []
    for name, table in examples.items():
        counts = table.aggregate(
            rows=table.count(), **{f"positives_{step}": table[step].sum() for step in funnel.steps}
        )
        found = counts.to_pandas().iloc[0]
        lines.append(
            {
                "split": name,
                "tasks": len(funnel.steps),
                "rows": int(found["rows"]),
                **{f"positive_{step}_%": 100 * found[f"positives_{step}"] / found["rows"] for step in funnel.steps},
                "fields": int(size["fields"]),
                "vocabulary_rows": int(size["rows"]),
            }
        )
    return pd.DataFrame(lines)
