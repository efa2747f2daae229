"""Reads Ali-CCP (Ma et al., SIGIR 2018, https://doi.org/10.1145/3209978.3210104) from the files as downloaded.

The parts: ``layout`` (files, columns, fields), ``streams`` (files or archives as chunks of whole lines), ``parsing``
(a chunk to columns, and the lines that cannot be read), ``commons`` (the rows that many impressions share),
``joining`` (a chunk with its common rows), ``reader`` (everything, in one Parquet file).
"""

from aitm_kedro.sources.ali_ccp.layout import MULTI_VALUED, SINGLE_VALUED, Fields, choose_fields, weights_field
from aitm_kedro.sources.ali_ccp.reader import Options, Read, ensure_impressions, locate_impressions

__all__ = [
    "MULTI_VALUED",
    "SINGLE_VALUED",
    "Fields",
    "Options",
    "Read",
    "choose_fields",
    "ensure_impressions",
    "locate_impressions",
    "weights_field",
]
