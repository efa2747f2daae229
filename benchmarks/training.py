"""How fast AITM trains, against the plain definition of the same model in torch.

The shape is that of the public data set (T = 2, 18 fields, 1,283,090 embedding rows of 5, batches of 2000) with
Zipf-like ids. Both read the same encoded Parquet file; reading, shuffling and, here, the validation at the end count.
They take turns, so that what else the machine does hits both.

    python benchmarks/training.py --rows 400000 --repeats 3 --threads 2
"""

import argparse
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from aitm_kedro.core.example_store import open_arrays, write_arrays
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.core.funnel import IMPRESSION_ID
from aitm_kedro.learning.network_options import AITMOptions
from aitm_kedro.learning.networks.aitm import AITM
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.devices import keep_freed_memory
from aitm_kedro.learning.training.loop import fit

SIZES = [238635, 98, 14, 3, 8, 4, 4, 3, 5, 467298, 6929, 263942, 106399, 5888, 104830, 51878, 37148, 4]
FIELDS = [f"field{position}" for position in range(len(SIZES))]
STEPS = ("click", "purchase")
BATCH = 2000
VALID_ROWS = 20_000


class PlainAITM(nn.Module):
    """The equations written down one after the other, as ports of the paper do."""

    def __init__(self) -> None:
        super().__init__()
        self.offsets = torch.tensor(np.cumsum([0, *SIZES[:-1]]))
        self.embedding = nn.Embedding(sum(SIZES), 5)
        nn.init.normal_(self.embedding.weight, std=0.01)
        self.towers = nn.ModuleList(self._tower() for _ in STEPS)
        self.g = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.3))
        self.h1, self.h2, self.h3 = (nn.Linear(32, 32, bias=False) for _ in range(3))
        self.outputs = nn.ModuleList(nn.Linear(32, 1) for _ in STEPS)

    def _tower(self) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inputs, outputs, rate in ((5 * len(SIZES), 128, 0.1), (128, 64, 0.3), (64, 32, 0.3)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(rate)]
        return nn.Sequential(*layers)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits [B, T]."""
        v = self.embedding(ids + self.offsets).flatten(1)
        q = [tower(v) for tower in self.towers]
        u = torch.stack((self.g(q[0]), q[1]), dim=1)  # [B, 2, K]
        weight = torch.softmax((self.h2(u) * self.h3(u)).sum(2) / 32**0.5, dim=1)
        z = [q[0], (weight.unsqueeze(2) * self.h1(u)).sum(1)]
        return torch.cat([output(x) for output, x in zip(self.outputs, z, strict=True)], dim=1)


def plain_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Equation 13."""
    y = torch.sigmoid(logits)
    entropy = sum(F.binary_cross_entropy_with_logits(logits[:, t], labels[:, t]) for t in range(len(STEPS)))
    return entropy + 0.6 * torch.relu(y[:, 1] - y[:, 0]).mean()


def train_plain(path: Path, *, item_loader: bool) -> None:
    """One epoch, with batches cut from shuffled tensors, or from torch's DataLoader over a TensorDataset."""
    examples = read(path)
    model = PlainAITM().train()
    matrices = [model.embedding.weight, model.h1.weight, model.h2.weight, model.h3.weight]
    special = {id(matrix) for matrix in matrices}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in special]
    groups: list[dict[str, Any]] = [{"params": rest}, {"params": matrices, "weight_decay": 1e-6}]
    optimiser = torch.optim.Adam(groups, lr=1e-3)
    ids, labels = torch.from_numpy(examples.ids).long(), torch.from_numpy(examples.labels).float()
    batches: Iterable[tuple[Tensor, Tensor]]
    if item_loader:
        batches = DataLoader(TensorDataset(ids, labels), batch_size=BATCH, shuffle=True)
    else:
        batches = ((ids[rows], labels[rows]) for rows in torch.randperm(len(ids)).split(BATCH))
    for x, y in batches:
        optimiser.zero_grad()
        plain_loss(model(x), y).backward()
        optimiser.step()


def train_ours(path: Path, valid: Examples, *, updates: str, precision: str) -> None:
    """One epoch of the project's loop, with its validation."""
    features = [FeatureSpec(name=name, kind="categorical", ids=size) for name, size in zip(FIELDS, SIZES, strict=True)]
    model = AITM(features=features, steps=STEPS, options=AITMOptions(preset="paper"))
    options = Training(preset="paper", max_epochs=1, device="cpu", embedding_updates=updates, precision=precision)
    fit(model, read(path), valid, options=options, main_steps=STEPS, seed=0)


def read(path: Path) -> Examples:
    """Encoded Parquet to arrays mapped into memory, laid out anew each time."""
    folder = path.with_suffix(".arrays")
    shutil.rmtree(folder, ignore_errors=True)
    write_arrays(ds.dataset(path), folder)
    return open_arrays(folder)


def write_examples(path: Path, rows: int, *, seed: int) -> None:
    """Zipf-like ids (the logarithm of the rank is uniform), labels at the public data set's click rate."""
    random = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {IMPRESSION_ID: np.arange(rows)}
    for name, size in zip(FIELDS, SIZES, strict=True):
        columns[name] = np.minimum(size ** random.random(rows) - 1, size - 1).astype(np.int32)
    click = random.random(rows) < 0.04
    columns |= {"click": click.astype(np.int8), "purchase": (click & (random.random(rows) < 0.1)).astype(np.int8)}
    pq.write_table(pa.table(columns), path)


def seconds(function: Callable[[], None]) -> float:
    """Wall time of one call."""
    start = perf_counter()
    function()
    return perf_counter() - start


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # for all alike
    with tempfile.TemporaryDirectory() as folder:
        path, valid_path = Path(folder) / "train.parquet", Path(folder) / "valid.parquet"
        write_examples(path, arguments.rows, seed=0)
        write_examples(valid_path, VALID_ROWS, seed=1)
        valid = read(valid_path)
        runs: dict[str, Callable[[], None]] = {
            "plain, tensor slices": lambda: train_plain(path, item_loader=False),
            "plain, DataLoader": lambda: train_plain(path, item_loader=True),
            "aitm-kedro, lazy": lambda: train_ours(path, valid, updates="lazy", precision="float32"),
            "aitm-kedro, dense": lambda: train_ours(path, valid, updates="dense", precision="float32"),
            "aitm-kedro, lazy, bfloat16": lambda: train_ours(path, valid, updates="lazy", precision="bfloat16"),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(arguments.repeats):
            for name, run in runs.items():
                times[name].append(seconds(run))
    rates = {name: arguments.rows / median(values) for name, values in times.items()}
    for name, rate in rates.items():
        pairs = zip(times["plain, tensor slices"], times[name], strict=True)
        ratio = median(plain / own for plain, own in pairs)
        print(f"{name:28s} {rate:10,.0f} rows/s   {ratio:5.2f} x plain")


if __name__ == "__main__":
    main()
