"""Writes a simulated log to one Parquet file: drawn in parallel, written in order, there completely or not at all."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import IMPRESSION_ID, IMPRESSION_TIME, time_column
from aitm_kedro.core.parallel import cores, in_order
from aitm_kedro.core.progress import Progress
from aitm_kedro.core.storage import ensure, reason_of
from aitm_kedro.sources.simulation import story
from aitm_kedro.sources.simulation.chunks import Log
from aitm_kedro.sources.simulation.population import CATEGORICAL, NUMERIC
from aitm_kedro.sources.simulation.settings import STEPS, VERSION, Settings

ROWS_A_GROUP = 262_144


def file_name(settings: Settings) -> str:
    """Name of the file of exactly these settings, this story and this version of the simulator."""
    told = [str(value) for name, value in sorted(vars(story).items()) if name.isupper()]
    known = json.dumps([VERSION, asdict(settings), told], sort_keys=True)
    mark = hashlib.sha256(known.encode()).hexdigest()[:12]
    return f"impressions-{settings.impressions}-seed{settings.seed}-{mark}.parquet"


def ensure_log(folder: Path, settings: Settings, *, workers: int | None = None) -> Path:
    """The Parquet file of a log, written now if it is not there yet.

    The file appears under its name only when it is complete and on the disk. Whoever needs the same file at the
    same time waits; what killed runs left behind is removed. Memory is bounded by a few chunks a worker.

    Args:
        folder: where the files of simulated logs are kept.
        settings: which log.
        workers: threads that draw; None: one a core. The bytes do not depend on it.

    Raises:
        InputError: the file cannot be written (the disk is full, the folder is not writable).
    """
    path = folder / file_name(settings)
    try:
        return ensure(path, lambda part: _write(part, Log.of(settings), workers or cores()))
    except OSError as error:
        raise InputError(
            f"the simulated log cannot be written to {path}: {reason_of(error)}; make room or choose another filepath"
        ) from error


def _write(part: Path, log: Log, workers: int) -> None:
    chunks_a_group = max(ROWS_A_GROUP // log.settings.chunk_rows, 1)
    progress = Progress(what="simulating", unit="rows", total=log.rows)
    waiting: list[pa.Table] = []
    writer: pq.ParquetWriter | None = None
    try:
        for number, chunk in enumerate(in_order(log.chunk, range(log.chunks), workers=workers), start=1):
            writer = writer or _open(part, chunk.schema)
            waiting.append(chunk)
            if len(waiting) == chunks_a_group or number == log.chunks:
                writer.write_table(pa.concat_tables(waiting), row_group_size=2 * ROWS_A_GROUP)
                waiting.clear()
            progress.advance_to(min(number * log.settings.chunk_rows, log.rows))
    finally:
        if writer is not None:
            writer.close()


def _open(part: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Times and ids rise, so that their differences are small; features repeat their values; the truth does neither."""
    rising = [IMPRESSION_ID, IMPRESSION_TIME, *(time_column(step) for step in STEPS)]
    return pq.ParquetWriter(
        part,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[*CATEGORICAL, *NUMERIC],
        column_encoding=dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
        write_statistics=[IMPRESSION_ID, IMPRESSION_TIME],
    )
