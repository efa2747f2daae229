"""``python -m aitm_kedro.sources.simulation``: recomputes the ledger of docs/simulator.md."""

import argparse
import sys

from aitm_kedro.sources.simulation.ledger import as_markdown, ledger
from aitm_kedro.sources.simulation.settings import PRESETS


def main() -> None:
    """Print the ledger of each preset as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m aitm_kedro.sources.simulation", description=main.__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="mature impressions to draw (default: 1,000,000)")
    parser.add_argument("--preset", choices=PRESETS, action="append", help="default: all")
    options = parser.parse_args()
    for preset in options.preset or PRESETS:
        sys.stdout.write(f"### {preset}\n\n{as_markdown(ledger(PRESETS[preset], rows=options.rows))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
