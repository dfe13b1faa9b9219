#!/usr/bin/env python3
"""Trains a scikit-learn pipeline and exports it to ONNX, so that gateways score it without Python.

Each column is an input of its own, by its name: numbers as floats (NaN is null), text as text. That is all that
leanloop needs to derive the model's signature, and a request says the same as a row of the CSV file.
"""

import argparse
import json
import os
import pathlib

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

TARGET = "late_15"
NUMBERS = ["hour", "wind_speed", "visib", "dep_delay"]
TEXT = ["carrier"]


def read_channel(name):
    """The rows of every CSV file of a channel, with numbers as the model will get them: in single precision."""
    files = sorted(pathlib.Path(os.environ[name]).glob("*.csv"))
    rows = pd.concat([pd.read_csv(f, keep_default_na=False, na_values=[""], dtype={c: str for c in TEXT}) for f in files])
    rows[NUMBERS] = rows[NUMBERS].astype(np.float32)
    rows[TEXT] = rows[TEXT].fillna("")  # what a missing text is to ONNX
    return rows


def show(pipeline, rows):
    """Prints rows as a request has them, and what this pipeline says of them: what is served has to say the same."""
    for row, score in zip(rows.to_dict("records"), pipeline.predict_proba(rows)[:, 1]):
        known = {name: None if value != value or value == "" else value for name, value in row.items()}
        print(json.dumps({"features": known, "score": score}))


def main():
    given = json.loads(os.environ.get("SM_HPS") or "{}")
    parser = argparse.ArgumentParser(description="Trains gradient boosting and exports it to ONNX.")
    parser.add_argument("--trees", type=int, default=given.get("trees", 60))
    parser.add_argument("--depth", type=int, default=given.get("depth", 6))
    options = parser.parse_known_args()[0]

    train = read_channel("SM_CHANNEL_TRAIN")
    classifier = GradientBoostingClassifier(n_estimators=options.trees, max_depth=options.depth, random_state=42)
    pipeline = make_pipeline(
        ColumnTransformer([
            ("numbers", SimpleImputer(), NUMBERS),
            ("text", OneHotEncoder(handle_unknown="ignore"), TEXT),  # an unknown carrier is none of them
        ]),
        classifier,
    )
    pipeline.fit(train[NUMBERS + TEXT], train[TARGET])

    if "SM_CHANNEL_VALIDATION" in os.environ:
        validation = read_channel("SM_CHANNEL_VALIDATION")
        probability = pipeline.predict_proba(validation[NUMBERS + TEXT])[:, 1]
        print(json.dumps({"epoch": 1, "metrics": {
            "log_loss": log_loss(validation[TARGET], probability),
            "accuracy": accuracy_score(validation[TARGET], probability >= 0.5),
            "auc": roc_auc_score(validation[TARGET], probability),
        }}), flush=True)
        show(pipeline, validation[NUMBERS + TEXT].head(20))

    model = to_onnx(
        pipeline,
        initial_types=[(c, FloatTensorType([None, 1])) for c in NUMBERS] + [(c, StringTensorType([None, 1])) for c in TEXT],
        options={id(classifier): {"zipmap": False}},  # probabilities as a tensor: quicker to read than a list of maps
    )
    (pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
