"""Chooses rows by hash instead of at random: the same rows on every engine, run and number of threads."""

import ibis
import ibis.expr.types as ir

from aitm_kedro.core.funnel import IMPRESSION_ID

# MD5 in hexadecimal: engines agree on it, unlike on their own hash functions, and hexadecimal text compares as numbers.
_DIGITS = 8


def row_hash(table: ir.Table, *, purpose: str, seed: int) -> ir.StringColumn:
    """32 hexadecimal digits for each impression, independent between purposes and seeds."""
    return (ibis.literal(f"{seed}:{purpose}:") + table[IMPRESSION_ID].cast("string")).hexdigest("md5")


def in_share(hashes: ir.StringColumn, share: float) -> ir.BooleanColumn:
    """True for about ``share`` of the rows."""
    threshold = f"{round(share * 16**_DIGITS):0{_DIGITS}x}"
    return hashes.left(_DIGITS) < threshold
