#!/usr/bin/env python3
"""Trains a small neural network with PyTorch, on a GPU where it is given one, and never an epoch twice.

- Columns, categories and classes come from the file that LEANLOOP_SCHEMA names, so another table needs no change here.
- After each epoch all that training goes on from is in LEANLOOP_CHECKPOINT_DIR. An attempt that finds a checkpoint
  there goes on after it, and on the same kind of device ends with the very model of a run that nobody disturbed.
- SM_MODEL_DIR gets model.pt, which predict.py reads, or by --format onnx the same network as gateways read it.
"""

import argparse
import csv
import json
import os
import pathlib
import pickle
import signal
import sys

import torch
from torch import nn


def arguments():
    parser = argparse.ArgumentParser(description="Trains a neural network.")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.001, help="step size of Adam")
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--format", choices=["torch", "onnx"], default="torch")
    return parser.parse_known_args()[0]  # a newer leanloop may pass more than this program knows


class Network(nn.Module):
    """Answers a matrix of features with logits. A number is standardised, and 0 beside a flag where it is missing; a
    category is its code, which has a few weights of its own, as has a missing one. A missing value is NaN."""

    def __init__(self, features, hidden, mean=None, scale=None):
        super().__init__()
        kinds = [f["kind"] for f in features]
        self.numbers = [i for i, kind in enumerate(kinds) if kind != "category"]
        self.categories = [i for i, kind in enumerate(kinds) if kind == "category"]
        self.register_buffer("mean", torch.zeros(len(self.numbers)) if mean is None else mean)
        self.register_buffer("scale", torch.ones(len(self.numbers)) if scale is None else scale)
        self.embeddings = nn.ModuleList(nn.Embedding(len(features[i]["categories"]) + 1, 4) for i in self.categories)
        width = 2 * len(self.numbers) + 4 * len(self.categories)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        numbers = (x[:, self.numbers] - self.mean) / self.scale
        missing = torch.isnan(numbers)
        parts = [torch.where(missing, torch.zeros_like(numbers), numbers), missing.float()]
        for i, embedding in zip(self.categories, self.embeddings):
            code = x[:, i]
            parts.append(embedding(torch.where(torch.isnan(code), torch.full_like(code, -1), code).long() + 1))
        return self.layers(torch.cat(parts, 1))[:, 0]


class Probability(nn.Module):
    """A network that answers with probabilities: what is exported."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return torch.sigmoid(self.network(x))


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_channel(name):
    """The rows of every CSV file of a channel; none where there is no such channel."""
    folder = os.environ.get(name)
    return [row for path in sorted(pathlib.Path(folder).glob("*.csv")) for row in read(path)] if folder else []


def encode(rows, features):
    """Rows as a matrix, a column for each feature. A category that isn't known is missing."""
    columns = []
    for f in features:
        codes = {value: code for code, value in enumerate(f.get("categories") or [])}
        known = codes.get if f["kind"] == "category" else float
        values = [known(row[f["name"]]) if row[f["name"]] != "" else None for row in rows]
        columns.append([float("nan") if v is None else float(v) for v in values])
    return torch.tensor(columns, dtype=torch.float32).T.contiguous()


def scaling(x):
    """Mean and standard deviation of each column, whatever is missing."""
    known = ~torch.isnan(x)
    count = known.sum(0).clamp(min=1)
    values = torch.where(known, x, torch.zeros_like(x)).double()
    mean = values.sum(0) / count
    deviation = (torch.where(known, (x - mean) ** 2, torch.zeros_like(values)).sum(0) / count).sqrt()
    return mean.float(), torch.where(deviation > 0, deviation, torch.ones_like(deviation)).float()


class Checkpoint:
    """All that training goes on from. It is renamed into place, so that it is never seen half written."""

    def __init__(self):
        folder = os.environ.get("LEANLOOP_CHECKPOINT_DIR")  # absent when the program is run by hand
        self.path = pathlib.Path(folder) / "state.pt" if folder else None

    def load(self, network, optimizer, device):
        """The last epoch that is done; 0 without a checkpoint."""
        if not self.path or not self.path.exists():
            return 0
        try:
            state = torch.load(self.path, map_location=device)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            print(f"starts anew: {self.path.name}: {error}")  # to fail would help nobody: every attempt finds the same
            return 0
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        print(f"goes on after epoch {state['epoch']}")
        return state["epoch"]

    def save(self, network, optimizer, epoch):
        if self.path:
            written = self.path.with_suffix(".tmp")
            torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, written)
            written.replace(self.path)


def evaluate(network, x, y):
    if not len(y):
        return {}
    with torch.no_grad():
        logits = network(x)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        right = ((logits > 0) == (y > 0)).float().mean()
    return {"log_loss": loss.item(), "accuracy": right.item()}


def train(network, x, y, watched, options, seed, device):
    optimizer = torch.optim.Adam(network.parameters(), lr=options.rate)
    checkpoint = Checkpoint()
    done = checkpoint.load(network, optimizer, device)
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))  # its machine is taken away, say
    for epoch in range(done + 1, options.epochs + 1):
        # The order depends on the epoch alone, not on what an attempt did before.
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed + epoch)).to(device)
        for batch in order.split(options.batch):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(network(x[batch]), y[batch]).backward()
            optimizer.step()
        print(json.dumps({"epoch": epoch, "total": options.epochs, "metrics": evaluate(network, *watched)}), flush=True)
        checkpoint.save(network, optimizer, epoch)
        if told:
            sys.exit(f"told to end: epoch {epoch} is saved")


def save(network, schema, options, folder):
    """Leaves what predict.py reads, or the same for gateways: the network in ONNX, and what its columns mean."""
    network, features = network.cpu().eval(), schema["features"]
    if options.format == "torch":
        torch.save({"network": network.state_dict(), "features": features, "hidden": options.hidden}, folder / "model.pt")
        return
    torch.onnx.export(
        Probability(network), torch.zeros(2, len(features)), str(folder / "model.onnx"), opset_version=15,
        input_names=["features"], output_names=["probability"], dynamic_axes={"features": {0: "rows"}, "probability": {0: "rows"}},
    )
    # A category is its code here: its values, in the order of the codes, are what a gateway has to know.
    signature = {
        "version": 1, "format": "onnx", "task": "binary", "output": schema["target"], "classes": schema["classes"],
        "threshold": 0.5, "inputs": features,
    }
    (folder / "signature.json").write_text(json.dumps(signature), encoding="utf-8")


def show(network, rows, features):
    """Prints rows as a request has them, and what this network says of them: what is served has to say the same."""
    with torch.no_grad():
        scores = Probability(network)(encode(rows, features)).tolist()
    for row, score in zip(rows, scores):
        known = {f["name"]: row[f["name"]] if f["kind"] == "category" else float(row[f["name"]]) for f in features if row[f["name"]] != ""}
        print(json.dumps({"features": {f["name"]: known.get(f["name"]) for f in features}, "score": score}))


def main():
    options = arguments()
    schema = json.loads(pathlib.Path(os.environ["LEANLOOP_SCHEMA"]).read_text(encoding="utf-8"))
    features, target, positive, seed = schema["features"], schema["target"], schema["classes"][1], schema["seed"]
    rows, watched = read_channel("SM_CHANNEL_TRAIN"), read_channel("SM_CHANNEL_VALIDATION")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{len(rows)} rows to learn from, {len(watched)} to watch, PyTorch {torch.__version__} on {device}")

    def examples(rows):
        return encode(rows, features).to(device), torch.tensor([float(row[target] == positive) for row in rows], device=device)

    x, y = examples(rows)
    torch.manual_seed(seed)
    numbers = [i for i, f in enumerate(features) if f["kind"] != "category"]
    network = Network(features, options.hidden, *scaling(x[:, numbers].cpu())).to(device)
    train(network, x, y, examples(watched) if watched else (x[:0], y[:0]), options, seed, device)
    save(network, schema, options, pathlib.Path(os.environ["SM_MODEL_DIR"]))
    show(network, watched[:20], features)


if __name__ == "__main__":
    main()
