"""Trains scikit-learn models of many kinds, exports each as a script in the wild would, and prints as JSON what ONNX
Runtime itself answers for rows that it was not trained on.

usage: make_models.py SEED
"""
import base64
import json
import sys
import warnings

import numpy as np
import onnxruntime
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (ExtraTreesClassifier, GradientBoostingClassifier, GradientBoostingRegressor,
                              RandomForestClassifier, RandomForestRegressor)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier

warnings.filterwarnings("ignore")
rng = np.random.default_rng(int(sys.argv[1]))
ROWS, ASKED = 240, 37
cases = []


def target(task, signal):
    if task == "regression":
        return signal, None
    names = {"binary": ["late", "on time"], "multiclass": ["a", "b", "c"]}[task]
    edges = np.quantile(signal, np.linspace(0, 1, len(names) + 1)[1:-1])
    return np.array(names)[np.digitize(signal, edges)], names


def scores(outputs, task, classes, names):
    """One list of scores a row, by what the output is."""
    values = outputs[-1]
    if isinstance(values, list):
        rows = [[float(row[c if c in row else names.index(c)]) for c in classes] for row in values]
    else:
        rows = np.asarray(values, dtype=np.float64).reshape(len(values), -1).tolist()
        if task != "regression":
            rows = [[row[names.index(c)] for c in classes] for row in rows]
    return [row[1:] for row in rows] if task == "binary" else rows


def ask(model, feeds, task, classes, names):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return scores(session.run(None, feeds), task, classes, names)


def signature(task, inputs, classes):
    s = {"version": 1, "format": "onnx", "task": task, "inputs": inputs, "output": "y"}
    if classes:
        s["classes"] = classes
    if task == "binary":
        s["threshold"] = 0.5
    return s


def case(name, model, sig, rows, predictions):
    cases.append({"name": name, "model": base64.b64encode(model.SerializeToString()).decode(), "signature": sig,
                  "rows": rows, "predictions": predictions})


def matrix(name, estimator, task, zipmap=None, kind=FloatTensorType, flip=False, integers=False):
    width = int(rng.integers(3, 8))
    x = rng.normal(size=(ROWS + ASKED, width))
    y, names = target(task, x @ rng.normal(size=width) + 0.2 * rng.normal(size=ROWS + ASKED))
    labels = names
    if integers:
        labels, y = [0, 1, 2][:len(names)], np.array([names.index(v) for v in y])
    dtype = np.float64 if kind is DoubleTensorType else np.float32
    x = x.astype(dtype)
    estimator.fit(x[:ROWS], y[:ROWS])
    options = {} if zipmap is None else {"options": {id(estimator): {"zipmap": zipmap}}}
    model = to_onnx(estimator, initial_types=[("X", kind([None, width]))], **options)
    classes = names and list(reversed(names) if flip else names)
    asked = x[ROWS:]
    inputs = [{"name": f"f{i}", "kind": "number"} for i in range(width)]
    case(name, model, signature(task, inputs, classes), [[float(v) for v in row] for row in asked],
         ask(model, {"X": asked}, task, classes, names))


def pipeline(name, estimator, task, zipmap=None):
    """A data frame's columns, each an input: numbers with nulls, integers, booleans and text."""
    n = ROWS + ASKED
    frame = pd.DataFrame({
        "distance": rng.normal(500, 200, n).astype(np.float32), "hour": rng.integers(0, 24, n),
        "weekend": rng.integers(0, 2, n).astype(bool), "carrier": rng.choice(["AA", "B6", "Ünited"], n),
        "fare": rng.lognormal(4, 1, n),
    })
    y, names = target(task, frame.distance / 200 + frame.hour / 10 + (frame.carrier == "B6") * 2 + rng.normal(size=n) / 2)
    frame.loc[rng.random(n) < 0.1, "distance"] = np.nan
    estimator = make_pipeline(ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["distance", "fare"]),
        ("plain", StandardScaler(), ["hour"]),
        ("text", OneHotEncoder(handle_unknown="ignore", categories=[["AA", "B6", "Ünited"]]), ["carrier"]),
    ]), estimator)
    used = ["distance", "hour", "carrier", "fare"]
    estimator.fit(frame[used][:ROWS], np.asarray(y)[:ROWS])
    types = [("distance", FloatTensorType([None, 1])), ("hour", Int64TensorType([None, 1])),
             ("carrier", StringTensorType([None, 1])), ("fare", FloatTensorType([None, 1]))]
    options = {} if zipmap is None else {"options": {id(estimator.steps[-1][1]): {"zipmap": zipmap}}}
    model = to_onnx(estimator, initial_types=types, **options)
    asked = frame[used][ROWS:].reset_index(drop=True)
    asked.loc[:4, "carrier"] = "ZZ"  # unknown to the model: none of its categories
    feeds = {"distance": asked[["distance"]].to_numpy(np.float32), "hour": asked[["hour"]].to_numpy(np.int64),
             "carrier": asked[["carrier"]].to_numpy(object), "fare": asked[["fare"]].to_numpy(np.float32)}
    rows = [[None if pd.isna(v) else (v.item() if hasattr(v, "item") else v) for v in row]
            for row in asked[["fare", "carrier", "distance", "hour"]].itertuples(index=False)]
    inputs = [{"name": "fare", "kind": "number"}, {"name": "carrier", "kind": "category", "categories": ["Ünited", "AA", "B6"]},
              {"name": "distance", "kind": "number", "nullable": True}, {"name": "hour", "kind": "integer"}]
    case(name, model, signature(task, inputs, names), rows, ask(model, feeds, task, names, names))


matrix("logistic", LogisticRegression(), "binary")
matrix("logistic, zipmap off", LogisticRegression(), "binary", zipmap=False)
matrix("logistic, columns", LogisticRegression(), "multiclass", zipmap=False)
matrix("logistic, classes in another order", LogisticRegression(), "multiclass", zipmap=False, flip=True)
matrix("logistic, maps in another order", LogisticRegression(), "binary", flip=True)
matrix("logistic, numbered classes", LogisticRegression(), "multiclass", integers=True, zipmap=False)
matrix("logistic, maps of numbered classes", LogisticRegression(), "binary", integers=True)
matrix("forest", RandomForestClassifier(12, random_state=1), "multiclass", zipmap=False)
matrix("forest, maps", RandomForestClassifier(12, random_state=1), "binary")
matrix("extra trees", ExtraTreesClassifier(12, random_state=1), "binary", zipmap=False)
matrix("boosting", GradientBoostingClassifier(n_estimators=12), "multiclass", zipmap=False)
matrix("tree", DecisionTreeClassifier(max_depth=4), "multiclass")
matrix("bayes", GaussianNB(), "binary", zipmap=False)
matrix("neighbours", KNeighborsClassifier(5), "multiclass", zipmap=False)
matrix("network", MLPClassifier(hidden_layer_sizes=(8,), max_iter=60), "binary", zipmap=False)
matrix("linear regression", LinearRegression(), "regression")
matrix("linear regression in double", LinearRegression(), "regression", kind=DoubleTensorType)
matrix("forest regression", RandomForestRegressor(12, random_state=1), "regression")
matrix("boosting regression", GradientBoostingRegressor(n_estimators=12), "regression")
matrix("network regression", MLPRegressor(hidden_layer_sizes=(8,), max_iter=60), "regression")
matrix("support vectors regression", SVR(), "regression")
pipeline("pipeline", LogisticRegression(), "binary")
pipeline("pipeline, zipmap off", RandomForestClassifier(12, random_state=1), "multiclass", zipmap=False)
pipeline("pipeline regression", LinearRegression(), "regression")

json.dump({"onnxruntime": onnxruntime.__version__, "cases": cases}, sys.stdout)
