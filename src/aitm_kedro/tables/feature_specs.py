"""What models may know of each feature before training: number of ids, edges of bins, statistics of values.

Ids and edges are those of the vocabulary; the statistics come from the train sample, in one query.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features, FeatureSpec, FeatureSpecs, ValueStatistics
from aitm_kedro.core.ragged import LARGEST_WEIGHT as LARGEST
from aitm_kedro.tables.fingerprints import fingerprint_vocabulary
from aitm_kedro.tables.values import as_number
from aitm_kedro.tables.vocabulary import as_table, read_kinds_and_edges


def describe_features(vocabulary: ir.Table | pd.DataFrame, table: ir.Table, features: Features) -> FeatureSpecs:
    """One spec for each feature of the vocabulary, in the order of ``features``, that of the encoded examples.

    Args:
        vocabulary: what ``learn_vocabulary`` returned, or its table.
        table: the train sample, before encoding.
        features: the columns; those that are constant, hence not in the vocabulary, have no spec.

    Raises:
        InputError: a numeric feature has values that no float32 holds, or none at all in the train sample.
    """
    words = as_table(vocabulary)
    kinds, edges = read_kinds_and_edges(words)
    fields = [name for name in features.names if name in kinds]
    numeric = [name for name in fields if kinds[name] == "numeric"]
    _check_edges({name: edges[name] for name in numeric})
    ids, statistics = _count_ids(words), _measure_values(table, numeric)
    weights = {feature.name: feature.weights for feature in features.lists}
    specs = [
        FeatureSpec.model_validate(
            {
                "name": name,
                "kind": kinds[name],
                "ids": ids[name],
                "edges": edges.get(name, ()),
                "statistics": statistics.get(name),
                "weights": weights.get(name),
            }
        )
        for name in fields
    ]
    return FeatureSpecs(features=tuple(specs), vocabulary=fingerprint_vocabulary(vocabulary))


def _count_ids(words: ir.Table) -> dict[str, int]:
    """Number of ids of each feature, id 0 included; counted by the engine, for there may be millions."""
    counts = words.group_by("feature").agg(ids=lambda t: t["id"].max() + 1).to_pandas()
    return dict(zip(counts["feature"], counts["ids"].astype(int), strict=True))


def _check_edges(edges: Mapping[str, Sequence[float]]) -> None:
    for name, places in edges.items():
        if any(abs(place) > LARGEST for place in places):
            raise InputError(
                f"numeric feature '{name}' has values beyond {LARGEST:g} among the counted train impressions, which "
                "models cannot take; make them null, or smaller"
            )


def _measure_values(table: ir.Table, names: Sequence[str]) -> dict[str, ValueStatistics]:
    """Statistics of the values of numeric features, NaN and null aside, in one query."""
    if not names:
        return {}
    expressions: dict[str, ir.Value] = {"rows": table.count()}
    # By number, for a feature may have any name.
    for place, name in enumerate(names):
        value = as_number(table[name])
        usable = (value.abs() <= LARGEST).ifelse(value, ibis.null("float64"))
        expressions |= {
            f"known_{place}": value.count(),
            f"usable_{place}": usable.count(),
            f"mean_{place}": usable.mean(),
            f"std_{place}": usable.std(how="pop"),
            f"minimum_{place}": usable.min(),
            f"maximum_{place}": usable.max(),
        }
    found = dict(table.aggregate(**expressions).to_pandas().to_dict("records")[0])
    return {name: _statistics(name, place, found) for place, name in enumerate(names)}


def _statistics(name: str, place: int, found: Mapping[str, Any]) -> ValueStatistics:
    rows, known, usable = (int(found[what]) for what in ("rows", f"known_{place}", f"usable_{place}"))
    if usable < known:
        raise InputError(
            f"numeric feature '{name}' has values beyond {LARGEST:g} in {known - usable} of the {rows} rows of the "
            "train sample, which models cannot take; make them null, or smaller"
        )
    if not known:
        raise InputError(
            f"numeric feature '{name}' is null in all {rows} rows of the train sample; fill it or take it out of "
            "features"
        )
    measured = {what: float(found[f"{what}_{place}"]) for what in ("mean", "std", "minimum", "maximum")}
    return ValueStatistics(**measured, null_share=1 - known / rows)
