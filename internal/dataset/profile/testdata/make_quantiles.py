"""Columns with the quantiles, bins and moments that NumPy gives. Usage: make_quantiles.py > quantiles.json (NumPy 2.4)"""
import json
import sys

import numpy as np

rng = np.random.default_rng(11)
columns = {
    "one value": [4.25],
    "two values": [-1.5, 3.1],
    "constant": [0.1] * 12,
    "normal": rng.normal(size=500).tolist(),
    "money": np.round(rng.exponential(30, 700), 2).tolist(),
    "half zero": np.where(rng.random(300) < 0.5, 0, rng.random(300)).tolist(),
    "integers": rng.integers(-40, 40, 400).tolist(),
    "large offset": (1e9 + rng.random(333)).tolist(),
    "seconds": (1.37e9 + np.round(rng.random(200) * 1e7, 3)).tolist(),
    "many": np.round(rng.normal(size=6000), 4).tolist(),
}
shares = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]
out = []
for name, values in columns.items():
    x = np.array(values, dtype=float)
    edges = np.unique(np.quantile(x, np.linspace(0, 1, 11)))[1:-1]
    counts = np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1)
    out.append({
        "name": name, "values": values, "quantiles": np.quantile(x, shares).tolist(), "edges": edges.tolist(),
        "counts": counts.tolist(), "mean": x.mean(), "std": x.std(), "distinct": len(np.unique(x)),
    })
json.dump(out, sys.stdout)
