"""How fast the simulated log is written, how large it is, and how much memory that takes.

python benchmarks/simulation.py --impressions 4000000 --preset base
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from aitm_kedro.sources.simulation import PRESETS, Settings, ensure_log


def main() -> None:
    """Write one log into a temporary folder and print what it took."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--impressions", type=int, default=4_000_000)
    parser.add_argument("--preset", choices=PRESETS, default="base")
    parser.add_argument("--workers", type=int, default=None, help="default: one a core")
    options = parser.parse_args()
    settings = Settings.of(impressions=options.impressions, preset=options.preset)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        path = ensure_log(Path(folder), settings, workers=options.workers)
        seconds = time.perf_counter() - start
        rows, size = pq.read_metadata(path).num_rows, path.stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{rows:,} rows in {seconds:.1f} s ({rows / seconds:,.0f} rows/s, calibration included), "
        f"{size / 1e6:,.0f} MB ({size / rows:.1f} bytes a row), peak memory {peak:,.0f} MiB"
    )


if __name__ == "__main__":
    main()
