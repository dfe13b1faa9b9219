"""Trains a forest of 100 trees of depth 6 on 30 numbers, writes it as ONNX, and prints as JSON how long ONNX Runtime takes
in this process for 1 and for 1,024 rows: seconds, the least of several medians, one thread.

usage: time_rows.py FILE
"""
import json
import statistics
import sys
import time

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

rng = np.random.default_rng(1)
x = rng.normal(size=(4000, 30)).astype(np.float32)
forest = RandomForestClassifier(100, max_depth=6, random_state=1).fit(x, x[:, :5].sum(axis=1) > 0)
model = to_onnx(forest, x[:1], options={id(forest): {"zipmap": False}}).SerializeToString()
with open(sys.argv[1], "wb") as f:
    f.write(model)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
took = {}
for rows in (1, 1024):
    feed = {session.get_inputs()[0].name: x[:rows]}
    medians = []
    for _ in range(5):
        times = []
        for _ in range(2000 if rows == 1 else 100):
            began = time.perf_counter()
            session.run(["probabilities"], feed)
            times.append(time.perf_counter() - began)
        medians.append(statistics.median(times))
    took[rows] = min(medians)
json.dump(took, sys.stdout)
