"""Features, networks and small tables for the tests of learning."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from aitm_kedro.core.checksums import CHECKSUMS
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec, ValueStatistics
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.learning.ensemble import Ensemble, Member
from aitm_kedro.learning.learner import HISTORY_FILE, Trained
from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.registry import MODELS, build, find

NETWORKS = [name for name in MODELS if hasattr(MODELS[name], "network_class")]
TOWER = dict.fromkeys(("omoe", "mmoe", "ple"), "expert") | {"shared_bottom": "bottom"}
"""Where a network's exchangeable tower is configured, if not under "tower"."""

STEPS = ("click", "apply", "approve", "activate")
CPU = {"device": "cpu", "threads": 1}


def specs_of(sizes: Iterable[int], *, lists: Iterable[int] = (), names: Sequence[str] = ()) -> list[FeatureSpec]:
    """Categories with so many ids, then lists."""
    kinds = [("categorical", size) for size in sizes] + [("list", size) for size in lists]
    named = names or [f"f{place}" for place in range(len(kinds))]
    return [FeatureSpec(name=name, kind=kind, ids=size) for name, (kind, size) in zip(named, kinds, strict=True)]


def make_network(name: str, features: Sequence[FeatureSpec], steps: Sequence[str], **options: object) -> Network:
    """An untrained network, drawn from torch's generator as it is."""
    learner = find(name)
    return learner.build(features, steps, learner.Options.model_validate(options))


def tower_options(name: str, kind: str = "mlp", **tower: object) -> dict[str, object]:
    """Options of a network that say what its towers are."""
    return {TOWER.get(name, "tower"): {"kind": kind} | tower}


# A table with every kind of feature: "city" (categorical), "age" (numeric, with nulls), "tags" (lists with weights) and
# "shops" (lists without).

AGES = ValueStatistics(mean=40, std=12, minimum=5, maximum=80, null_share=0.1)
EDGES = (30.0, 40.0, 50.0)
FEATURES = (
    FeatureSpec(name="city", kind="categorical", ids=7),
    FeatureSpec(name="age", kind="numeric", ids=5, edges=EDGES, statistics=AGES),
    FeatureSpec(name="tags", kind="list", ids=6, weights="weights of tags"),
    FeatureSpec(name="shops", kind="list", ids=4),
)


def make_table(rows: int, *, seed: int, tasks: int = 3) -> Examples:
    """Clicks follow age, city and the share of tag 1; of each step, six rows of ten go on to the next."""
    random = np.random.default_rng(seed)
    age = np.clip(random.normal(40, 12, rows), 5, 80).astype(np.float32)
    city = random.integers(7, size=rows)
    lists = {name: draw_lists(rows, size, random) for name, size in (("tags", 6), ("shops", 4))}
    lists["shops"] = replace(lists["shops"], weights=None)
    shares, tags = lists["tags"].shares(), lists["tags"]
    row = np.repeat(np.arange(rows), tags.lengths)
    share = np.bincount(row, shares * (tags.values == 1), minlength=rows)
    click = random.random(rows) < 1 / (1 + np.exp(-((age - 40) / 8 + 0.8 * (city % 2) + 2 * share - 0.8)))
    further = random.random((rows, tasks - 1)) < 0.6
    null = random.random(rows) < 0.1
    bins = np.where(null, 0, 1 + np.searchsorted(EDGES, age, side="right"))
    return Examples(
        ids=np.stack([city, bins], axis=1).astype(np.int32),
        labels=np.cumprod(np.hstack([click[:, None], further]), axis=1).astype(np.uint8),
        fields=("city", "age", "tags", "shops"),
        steps=STEPS[:tasks],
        impression_id=np.arange(rows),
        numeric=("age",),
        values=np.where(null, np.nan, age).astype(np.float32)[:, None],
        lists=lists,
    )


def draw_lists(rows: int, size: int, random: np.random.Generator) -> Ragged:
    """One to four ids a row, with weights."""
    offsets = np.concatenate([[0], random.integers(1, 5, rows).cumsum()])
    ids = random.integers(size, size=offsets[-1]).astype(np.int32)
    return Ragged(offsets, ids, (0.1 + random.random(offsets[-1])).astype(np.float32))


QUICK: dict[str, dict[str, object]] = {
    "lightgbm": {"max_rounds": 12, "patience": 6, "threads": 1, "num_leaves": 8},
    "resflow": {"tower": {"dropout": (0, 0, 0)}},
}
"""Options of the models that would take too long with their defaults."""


MEMBERS = ("aitm", "logistic")
"""Of an ensemble."""


def fit(
    name: str,
    train: Examples,
    valid: Examples,
    *,
    features: Sequence[FeatureSpec] = FEATURES,
    main_steps: Sequence[str] | None = None,
    options: dict[str, object] | None = None,
    seed: int = 0,
    **training: object,
) -> Trained:
    """Train any registered model, quickly."""
    defaults: dict[str, object] = {"preset": "paper", "batch_size": 100, "max_epochs": 3, "learning_rate": 0.01} | CPU
    learner = build(name, options=QUICK.get(name, {}) | (options or {}), training=Training(**defaults | training))
    funnel = Funnel(steps=train.steps, main_steps=main_steps or train.steps)
    if isinstance(learner, Ensemble):
        given = {"features": features, "main_steps": main_steps, "seed": seed}
        members = [Member(f"{each}.seed{seed}", fit(each, train, valid, **given, **training)) for each in MEMBERS]
        return learner.fit(train, valid, features=features, funnel=funnel, seed=seed, members=members)
    return learner.fit(train, valid, features=features, funnel=funnel, seed=seed)


BESIDE = (HISTORY_FILE, CHECKSUMS)
"""Files of a model that hold nothing that it has learnt."""


def numbers_of(trained: Trained, folder: Path) -> dict[str, bytes]:
    """Everything that a model has learnt, as its files."""
    trained.save(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in BESIDE
    }


def seeded_ids(sizes: Sequence[int], rows: int, *, seed: int = 1) -> torch.Tensor:
    """Random ids, int32 [rows, F]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(size, (rows,), generator=generator, dtype=torch.int32) for size in sizes], dim=1)
