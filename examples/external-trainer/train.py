#!/usr/bin/env python3
"""Trains a logistic regression with nothing but Python's standard library.

It shows the whole of what leanloop asks of a training program:

- rows come as CSV files with a header: SM_CHANNEL_TRAIN to learn from,
  SM_CHANNEL_VALIDATION to watch (the test rows never come here);
- hyperparameters, those of model.yaml's train.params, come as --name value and
  as JSON in SM_HPS;
- a line of standard output that is a JSON object with metrics is progress;
  everything else is the log;
- what is in LEANLOOP_CHECKPOINT_DIR when an attempt is cut off (its machine was
  taken away, say) is there again when the next one starts: it goes on from there;
- the model goes into SM_MODEL_DIR, and exit code 0 says that it is complete.

The same program runs by hand:

    SM_CHANNEL_TRAIN=some/folder SM_MODEL_DIR=/tmp/model python3 train.py --epochs 5
"""

import argparse
import csv
import json
import math
import os
import pathlib
import random
import sys

TARGET = "late_15"
# In the order of the data's columns.
FEATURES = {"hour": "integer", "carrier": "category", "wind_speed": "number", "visib": "number", "dep_delay": "integer"}


def arguments():
    given = json.loads(os.environ.get("SM_HPS") or "{}")
    parser = argparse.ArgumentParser(description="Trains a logistic regression.")
    parser.add_argument("--epochs", type=int, default=given.get("epochs", 20))
    parser.add_argument("--rate", type=float, default=given.get("rate", 0.1), help="step size of AdaGrad")
    parser.add_argument("--l2", type=float, default=given.get("l2", 1e-4), help="shrinks weights towards 0")
    parser.add_argument("--seed", type=int, default=given.get("seed", 42))
    # A newer leanloop may pass more than this program knows.
    return parser.parse_known_args()[0]


def read_channel(name):
    """The rows of every CSV file in a channel's folder, those with an outcome."""
    folder = os.environ.get(name)
    if not folder:
        return []
    rows = []
    for path in sorted(pathlib.Path(folder).glob("*.csv")):
        with open(path, encoding="utf-8", newline="") as file:
            rows += [row for row in csv.DictReader(file) if row[TARGET] != ""]
    return rows


def outcome(row):
    return 1.0 if row[TARGET] in ("1", "true") else 0.0


def scaling(rows, name):
    """Mean and standard deviation of a column; an empty cell has no part in it."""
    values = [float(row[name]) for row in rows if row[name] != ""]
    if not values:
        return 0.0, 1.0
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    return mean, deviation or 1.0


class Model:
    """Weights by position: the intercept; for a category one for each of its
    values; for any other feature one for its value and one for its absence."""

    def __init__(self, rows):
        self.scales, self.values, self.position = {}, {}, {("intercept", ""): 0}
        for name, kind in FEATURES.items():
            if kind == "category":
                self.values[name] = sorted({row[name] for row in rows if row[name] != ""})
            else:
                self.scales[name] = scaling(rows, name)
            for part in self.values.get(name, ("weight", "missing")):
                self.position[name, part] = len(self.position)
        self.weights = [0.0] * len(self.position)

    def encode(self, row):
        """A row as (position, value) pairs; what isn't listed is 0."""
        pairs = [(0, 1.0)]
        for name, kind in FEATURES.items():
            if kind == "category":
                part, value = row[name], 1.0
            elif row[name] == "":
                part, value = "missing", 1.0
            else:
                mean, deviation = self.scales[name]
                part, value = "weight", (float(row[name]) - mean) / deviation
            if (name, part) in self.position:  # not so for a category first seen now
                pairs.append((self.position[name, part], value))
        return pairs

    def probability(self, pairs):
        margin = sum(self.weights[i] * v for i, v in pairs)
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, margin))))

    def weight(self, name, part):
        return [self.weights[self.position[name, part]]]

    def save(self, path):
        """Writes leanloop's linear format; internal/inference documents it at LinearFile."""
        features = []
        for name, kind in FEATURES.items():
            feature = {"name": name, "kind": kind}
            if kind == "category":
                feature["categories"] = self.values[name]
                feature["category_weights"] = [self.weight(name, v) for v in self.values[name]]
            else:
                feature["mean"], feature["scale"] = self.scales[name]
                feature["weights"], feature["missing"] = self.weight(name, "weight"), self.weight(name, "missing")
            features.append(feature)
        document = {"format": "leanloop-linear", "version": 1, "link": "sigmoid",
                    "intercept": [self.weights[0]], "features": features}
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def auc(labels, scores):
    """Area under the ROC curve: the share of (late, on time) pairs in the right order."""
    ordered = sorted(zip(scores, labels))
    late = sum(labels)
    if late in (0, len(labels)):
        return None
    ranks, start = 0.0, 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        ranks += (start + end + 1) / 2 * sum(label for _, label in ordered[start:end])
        start = end
    return (ranks - late * (late + 1) / 2) / (late * (len(labels) - late))


def log_loss(labels, scores):
    return -sum(math.log(max(1e-15, p if y else 1 - p)) for y, p in zip(labels, scores)) / len(labels)


def show(model, rows):
    """Prints rows as a request has them, and what this model says of them: what is served has to say the same."""
    for row in rows:
        features = {name: None if row[name] == "" else row[name] if kind == "category" else float(row[name]) for name, kind in FEATURES.items()}
        print(json.dumps({"features": features, "score": model.probability(model.encode(row))}))


class Checkpoint:
    """All that training goes on from. It is renamed into place, so that it is never seen half written."""

    def __init__(self):
        folder = os.environ.get("LEANLOOP_CHECKPOINT_DIR")  # absent when the program is run by hand
        self.path = pathlib.Path(folder) / "state.json" if folder else None

    def load(self):
        if self.path and self.path.exists():
            return json.loads(self.path.read_text(encoding="utf-8"))
        return None

    def save(self, **state):
        if self.path:
            written = self.path.with_suffix(".tmp")
            written.write_text(json.dumps(state), encoding="utf-8")
            written.replace(self.path)


def train(model, rows, options, report):
    """AdaGrad, one row at a time, in an order that only the seed decides: an
    attempt that goes on from a checkpoint ends with the same model."""
    shuffle = random.Random(options.seed).shuffle
    examples = [(model.encode(row), outcome(row)) for row in rows]
    squares, done = [1e-8] * len(model.weights), 0
    checkpoint = Checkpoint()
    state = checkpoint.load()
    if state:
        model.weights, squares, done = state["weights"], state["squares"], state["epoch"]
    for epoch in range(1, options.epochs + 1):
        shuffle(examples)
        if epoch <= done:
            continue
        for pairs, label in examples:
            error = model.probability(pairs) - label
            for i, value in pairs:
                slope = error * value + (options.l2 * model.weights[i] if i else 0.0)
                squares[i] += slope * slope
                model.weights[i] -= options.rate * slope / math.sqrt(squares[i])
        report(epoch)
        checkpoint.save(epoch=epoch, weights=model.weights, squares=squares)


def main():
    options = arguments()
    rows, watched = read_channel("SM_CHANNEL_TRAIN"), read_channel("SM_CHANNEL_VALIDATION")
    if not rows:
        sys.exit("no rows to learn from: SM_CHANNEL_TRAIN names no folder with a CSV file")
    print(f"{len(rows)} rows to learn from, {len(watched)} to watch")
    model = Model(rows)
    encoded, labels = [model.encode(row) for row in watched], [outcome(row) for row in watched]

    def report(epoch):
        scores = [model.probability(pairs) for pairs in encoded]
        metrics = {"log_loss": log_loss(labels, scores), "auc": auc(labels, scores)} if labels else {}
        known = {name: round(value, 6) for name, value in metrics.items() if value is not None}
        print(json.dumps({"epoch": epoch, "metrics": known}), flush=True)

    train(model, rows, options, report)
    model.save(pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.json")
    show(model, watched[:20])


if __name__ == "__main__":
    main()
