"""A small project from every source of docs/sources.md, by the catalog entries that stand there."""

import re
import sqlite3

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from deltalake import write_deltalake

from tests.conftest import ROOT, newest, run_kedro
from tests.datasets.postgresql import server

ROWS = 3000

PARAMETERS = {
    "funnel": {"steps": ["view", "cart"], "main_steps": ["cart"]},
    "features": {"categorical": ["user"], "numeric": ["age"]},
    "sampling": {"positive_share": None},
}


def entries(title):
    """Catalog entries below a heading of docs/sources.md, as YAML."""
    text = (ROOT / "docs/sources.md").read_text()
    section = re.split(rf"^##+ {title}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^##+ ", section, flags=re.MULTILINE)[0]
    return re.findall(r"^```yaml\n# conf/shop/catalog\.yml\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)


def impressions():
    rng = np.random.default_rng(0)
    view = rng.random(ROWS) < 0.5
    return pd.DataFrame(
        {
            "impression_id": np.arange(ROWS),
            "impression_time": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(ROWS), unit="min"),
            "user": [f"u{number}" for number in rng.integers(20, size=ROWS)],
            "age": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(35, 9, ROWS).round(1)),
            "view": view.astype("int64"),
            "cart": (view & (rng.random(ROWS) < 0.5)).astype("int64"),
        }
    )


@pytest.fixture
def shop(project):
    """A project with the environment ``shop``; its catalog is what is given."""

    def make(entry):
        (project / "conf/shop").mkdir()
        (project / "conf/shop/catalog.yml").write_text(entry)
        (project / "conf/shop/parameters.yml").write_text(yaml.safe_dump(PARAMETERS))
        (project / "data/01_raw").mkdir(parents=True)
        return project

    return make


def check_run(project):
    """Ingestion and preparation read every row, and the numbers as they were."""
    code, output = run_kedro(project, "--pipelines=ingestion,preparation", "--env=shop")
    assert code == 0, output
    table = pd.read_parquet(newest(project, "02_intermediate/shop/impressions.parquet"))
    found = table.sort_values("impression_id")[["impression_id", "user", "age", "view", "cart"]]
    expected = impressions()[list(found.columns)]
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected, check_dtype=False)
    return output


def sentence_of(output):
    """What a run that failed says at its end, which is one sentence and where to find more."""
    lines = output[output.rindex("Error: ") :].strip().splitlines()
    assert len(lines) == 2
    return lines[0]


def test_parquet(shop):
    (entry,) = entries("Parquet")
    project = shop(entry)
    impressions().to_parquet(project / "data/01_raw/shop", partition_cols=["cart"])
    (project / "data/01_raw/shop/_SUCCESS").touch()
    check_run(project)


def test_csv(shop):
    (entry,) = entries("CSV")
    project = shop(entry)
    (project / "data/01_raw/shop").mkdir()
    for number, part in enumerate(np.array_split(np.arange(ROWS), 3)):
        path = project / f"data/01_raw/shop/{number}.csv.gz"
        impressions().iloc[part].to_csv(path, sep=";", decimal=",", na_rep="NA", index=False, encoding="utf-8")
    check_run(project)


def test_delta(shop):
    (entry,) = entries("Delta")
    project = shop(entry)
    write_deltalake(project / "data/01_raw/shop_delta", pa.Table.from_pandas(impressions(), preserve_index=False))
    check_run(project)


def test_sqlite(shop):
    (entry,) = entries("SQLite")
    project = shop(entry)
    connection = sqlite3.connect(project / "data/01_raw/shop.sqlite")
    impressions().to_sql("impressions", connection, index=False)
    connection.close()
    check_run(project)
    copy = project / "data/01_raw/shop/impressions.parquet"
    assert len(pd.read_parquet(copy)) == ROWS
    connection = sqlite3.connect(project / "data/01_raw/shop.sqlite")
    with connection:
        connection.execute(f"UPDATE impressions SET user = 'late' WHERE impression_id = {ROWS - 1}")
    connection.close()
    code, output = run_kedro(project, "--pipelines=ingestion", "--env=shop")
    assert code == 0, output
    for path in (copy, newest(project, "02_intermediate/shop/impressions.parquet")):
        assert "late" in set(pd.read_parquet(path)["user"])


def fill(address):
    """Load the table into PostgreSQL by the driver that reads it."""
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(address) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("impressions", pa.Table.from_pandas(impressions(), preserve_index=False))
        connection.commit()


def test_postgresql(shop):
    (entry,) = entries("PostgreSQL")
    project = shop(entry)
    with server() as address:
        fill(address)
        credentials = project / "conf/shop/credentials.yml"
        credentials.write_text(yaml.safe_dump({"shop_database": {"uri": address}}))
        output = check_run(project)
        credentials.write_text(yaml.safe_dump({"shop_database": {"uri": address.replace("s3cret", "wr0ng")}}))
        code, refused = run_kedro(project, "--pipelines=ingestion", "--env=shop")
    assert code == 1
    assert 'password authentication failed for user "aitm". Correct user and password in' in sentence_of(refused)
    assert not any(secret in output + refused for secret in ("s3cret", "wr0ng"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"uri": "postgresql://me:hidden@host/shop"}, "'uri' in the catalog has a password in it"),
        ({"table": None}, "needs either 'table' or 'query'"),
        ({"uri": "sqlite:///data/01_raw/nothing.sqlite"}, "There is no database"),
        ({"tabel": "x"}, "tabel"),
    ],
)
def test_a_wrong_entry_ends_in_a_sentence(shop, change, said):
    (entry,) = entries("SQLite")
    entry = yaml.safe_load(entry)
    entry["raw_impressions"] |= change
    code, output = run_kedro(shop(yaml.safe_dump(entry)), "--pipelines=ingestion", "--env=shop")
    assert code == 1
    assert said in sentence_of(output)
    assert "hidden" not in output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "shop.csv' is empty (0 bytes)"),
        ("impression_id,user\n", "has column names (impression_id, user) but no rows"),
        ("impression_id,user\n1,a\n2,b,c\n", "seems to begin at line 3"),
    ],
)
def test_an_empty_csv_ends_in_a_sentence(shop, content, said):
    entry = yaml.safe_load(entries("CSV")[0])
    entry["raw_impressions"] |= {"filepath": "data/01_raw/shop.csv", "load_args": {}}
    project = shop(yaml.safe_dump(entry))
    (project / "data/01_raw/shop.csv").write_text(content)
    code, output = run_kedro(project, "--pipelines=ingestion", "--env=shop")
    assert code == 1
    assert said in sentence_of(output)


def test_links_of_the_documentation_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / "docs/sources.md").read_text()):
        assert target.startswith("https://") or (ROOT / "docs" / target).exists(), target
