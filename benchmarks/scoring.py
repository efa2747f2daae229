r"""How fast a bundle scores a table that does not fit into memory, and how much memory that takes.

    python benchmarks/scoring.py --rows 10000000 --bundle data/06_models/base/aitm/seed0/bundle \
        --audience data/03_primary/base/test_impressions.parquet

The rows of the audience are repeated until there are enough, in a Parquet file of their own. Loading the bundle does
not count for the rate; memory is that of the whole process.
"""

import argparse
import logging
import resource
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from aitm_kedro.artifacts.predictor import Predictor

MEMORY_LIMIT = "2GB"
"""Of the engine that reads the audience, as in ``conf/base/globals.yml``."""


def newest(path: Path) -> Path:
    """The file itself, or the newest version of it, as the catalog keeps them."""
    return path if path.is_file() else max(path.glob(f"*/{path.name}"))


def repeat(source: Path, target: Path, rows: int) -> None:
    """Write the rows of a file again and again, a row group at a time, until there are so many."""
    with pq.ParquetFile(source) as file, pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
        left = rows
        while left:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group).slice(0, left)
                writer.write_table(table)
                left -= len(table)
                if not left:
                    break


def score(predictor: Predictor, audience: Path, target: Path) -> int:
    """Score a file into another one; returns the number of rows."""
    engine = ibis.duckdb.connect(memory_limit=MEMORY_LIMIT)
    reader = predictor.stream(engine.read_parquet(audience))
    with pq.ParquetWriter(target, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
    return int(pq.read_metadata(target).num_rows)


def peak_gigabytes() -> float:
    """Largest resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle, or of its versions")
    parser.add_argument("--audience", type=Path, required=True, help="Parquet file, or the folder of its versions")
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    pa.set_memory_pool(pa.system_memory_pool())  # which gives back what is freed
    with tempfile.TemporaryDirectory() as folder:
        audience = Path(folder) / "audience.parquet"
        repeat(newest(arguments.audience), audience, arguments.rows)
        before = peak_gigabytes()
        predictor = Predictor.load(arguments.bundle, threads=arguments.threads)
        start = perf_counter()
        rows = score(predictor, audience, Path(folder) / "scores.parquet")
        seconds = perf_counter() - start
    run = f"{predictor.manifest.run}, seed {predictor.manifest.seed}"
    print(
        f"{run}: {rows:,} rows in {seconds:.1f} s, {rows / seconds:,.0f} rows/s, peak memory {peak_gigabytes():.2f} GB "
        f"({before:.2f} GB before the bundle was loaded)"
    )


if __name__ == "__main__":
    main()
