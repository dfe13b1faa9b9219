"""Scores one row of named features with the version beside it: an XGBoost JSON of the built-in trees, or of xgboost.

A stand-in for your own handler: set the function's handler to app.handler.
"""

import json
import math
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))


def load(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return json.load(f)


def single(value):
    """The nearest number of single precision, in which trees compare."""
    return struct.unpack("f", struct.pack("f", value))[0]


class Model:
    def __init__(self):
        self.inputs = load("model/signature.json")["inputs"]
        learner = load("model/model.json")["learner"]
        self.objective = learner["objective"]["name"]
        if self.objective not in ("binary:logistic", "reg:squarederror") or learner["gradient_booster"]["name"] != "gbtree":
            raise ValueError(f"{self.objective} of {learner['gradient_booster']['name']} isn't scored here")
        self.base = float(learner["learner_model_param"]["base_score"].strip("[]"))
        self.trees = learner["gradient_booster"]["model"]["trees"]
        for tree in self.trees:
            sets = zip(tree.get("categories_nodes", []), tree.get("categories_segments", []), tree.get("categories_sizes", []))
            tree["sets"] = {node: set(tree["categories"][at:at + size]) for node, at, size in sets}

    def row(self, features):
        for feature in self.inputs:
            value = features.get(feature["name"])
            if value is not None and feature.get("categories"):
                value = feature["categories"].index(value) if value in feature["categories"] else None
            yield math.nan if value is None else single(float(value))

    def score(self, features):
        row = list(self.row(features))
        logistic = self.objective == "binary:logistic"
        total = math.log(self.base / (1 - self.base)) if logistic else self.base
        for tree in self.trees:
            total += leaf(tree, row)
        return 1 / (1 + math.exp(-total)) if logistic else total


def leaf(tree, row):
    node = 0
    while tree["left_children"][node] != -1:
        value = row[tree["split_indices"][node]]
        if math.isnan(value):
            left = bool(tree["default_left"][node])
        elif node in tree["sets"]:
            left = int(value) not in tree["sets"][node]
        else:
            left = value < single(tree["split_conditions"][node])
        node = tree["left_children" if left else "right_children"][node]
    return tree["split_conditions"][node]


MODEL = Model()
VERSION = load("version.json")["version"]


def handler(event, _context):
    return {"version": VERSION, "prediction": MODEL.score(event)}
