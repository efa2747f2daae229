"""How long ingestion and preparation of Ali-CCP take, Kedro included, against a plain-Python reading of the same files.

    python benchmarks/ali_ccp.py                                        # 1 million + 1 million rows, three turns
    python benchmarks/ali_ccp.py --rows 10_000_000 --common-rows 600_000 --turns 1 --alone

Files in the layout are written to a temporary folder, and both sides read them in turns, each in a process of its own;
`--folder` takes files that are there. The ratio is the median of the ratios of the turns. The plain reading is one
process and one core, as it is; the project uses what the machine has.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent


def main() -> None:
    """Write files, read them in turns, and print what it took."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of train, and as many of test")
    parser.add_argument("--common-rows", type=int, default=60_000, help="of train, and as many of test")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="with files in the layout, instead of new ones")
    parser.add_argument("--alone", action="store_true", help="without the plain reading")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT / "data") as name:
        scratch = Path(name)
        folder = options.folder or write_files(scratch / "files", rows=options.rows, commons=options.common_rows)
        ratios = []
        for turn in range(options.turns):
            ours, memory = run_project(scratch / f"project{turn}", folder)
            print(f"aitm-kedro: {ours:.1f} s, {memory:.2f} GB")
            if not options.alone:
                plain = run_reference(scratch / "reference", folder)
                ratios.append(plain / ours)
                print(f"plain reading: {plain:.1f} s, {plain / ours:.2f} times as long")
        if ratios:
            print(f"median ratio: {median(ratios):.2f}")


def write_files(folder: Path, *, rows: int, commons: int) -> Path:
    """Invented content, in the layout of the download."""
    sizes = [f"--rows={rows}", f"--test-rows={rows}", f"--common-rows={commons}"]
    subprocess.run([sys.executable, str(HERE / "write_ali_ccp.py"), str(folder), *sizes], check=True)
    return folder


def run_project(project: Path, folder: Path) -> tuple[float, float]:
    """Seconds and peak memory (GB) of `kedro run` in a project folder of its own, which is removed afterwards."""
    shutil.copytree(ROOT / "conf", project / "conf", ignore=shutil.ignore_patterns("local"))
    (project / "conf/local").mkdir()
    (project / "src").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, project)
    command = [sys.executable, "-m", "kedro", "run", "--env=ali_ccp", "--pipelines=ingestion,preparation"]
    seconds = timed([*command, f"--params=ali_ccp.folder={folder.resolve()}"], project)
    record = json.loads(next((project / "data/08_reporting/ali_ccp/run_record.json").glob("*/*")).read_text())
    shutil.rmtree(project)
    return seconds, max(node["peak_gigabytes"] for node in record["nodes"].values())


def run_reference(out: Path, folder: Path) -> float:
    """Seconds of the plain reading."""
    seconds = timed([sys.executable, str(HERE / "ali_ccp_reference.py"), str(folder), str(out)], ROOT)
    shutil.rmtree(out)
    return seconds


def timed(command: list[str], folder: Path) -> float:
    """Wall time of a process, start included."""
    start = perf_counter()
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stdout[-3000:] + result.stderr[-3000:])
    return perf_counter() - start


if __name__ == "__main__":
    main()
