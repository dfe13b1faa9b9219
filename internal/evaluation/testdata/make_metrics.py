"""Metrics computed by scikit-learn, plain and with whole-number weights.

Usage: make_metrics.py > metrics.json (scikit-learn 1.9.1, NumPy 2.4.6)
"""
import json
import numpy as np
from sklearn import metrics as m

rng = np.random.default_rng(3)
cases = []


def binary(name, y, p, threshold=0.5):
    y, p = np.asarray(y), np.asarray(p)
    w = rng.poisson(1.0, len(y)) + (len(y) < 10)  # a weight of 0 for every prediction would leave no precision

    def of(weight):
        z = (p >= threshold).astype(int)
        kw = {"sample_weight": weight}
        return {
            "accuracy": m.accuracy_score(y, z, **kw), "precision": m.precision_score(y, z, **kw),
            "recall": m.recall_score(y, z, **kw), "f1": m.f1_score(y, z, **kw),
            "log_loss": m.log_loss(y, p, labels=[0, 1], **kw), "roc_auc": m.roc_auc_score(y, p, **kw),
        }

    cases.append({"name": name, "task": "binary", "classes": 2, "threshold": threshold, "y": y.tolist(), "p": p.tolist(),
                  "weights": w.tolist(), "plain": of(None), "weighted": of(w)})


def multiclass(name, k, n, sharpness):
    y = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), y] += sharpness
    p = np.exp(logits)
    p = np.round(p / p.sum(1, keepdims=True), 3)
    p[:, -1] = 1 - p[:, :-1].sum(1)
    w = rng.poisson(1.0, n)

    def of(weight):
        z = p.argmax(1)
        kw = {"sample_weight": weight}
        macro = {"average": "macro", "zero_division": 0, **kw}
        return {
            "accuracy": m.accuracy_score(y, z, **kw), "precision": m.precision_score(y, z, **macro),
            "recall": m.recall_score(y, z, **macro), "f1": m.f1_score(y, z, **macro),
            "log_loss": m.log_loss(y, p, labels=list(range(k)), **kw),
            "roc_auc": np.mean([m.roc_auc_score(y == c, p[:, c], **kw) for c in range(k)]),
        }

    plain = of(None)
    assert abs(plain["roc_auc"] - m.roc_auc_score(y, p, multi_class="ovr")) < 1e-12
    cases.append({"name": name, "task": "multiclass", "classes": k, "threshold": 0, "y": y.tolist(), "p": p.ravel().tolist(),
                  "weights": w.tolist(), "plain": plain, "weighted": of(w)})


def regression(name, y, p):
    w = rng.poisson(1.0, len(y))

    def of(weight):
        kw = {"sample_weight": weight}
        return {"rmse": m.root_mean_squared_error(y, p, **kw), "mae": m.mean_absolute_error(y, p, **kw), "r2": m.r2_score(y, p, **kw)}

    cases.append({"name": name, "task": "regression", "classes": 0, "threshold": 0, "y": y.tolist(), "p": p.tolist(),
                  "weights": w.tolist(), "plain": of(None), "weighted": of(w)})


y = rng.integers(0, 2, 300)
binary("continuous scores", y, 1 / (1 + np.exp(-(rng.normal(size=300) + 1.5 * y - 0.7))))
binary("many ties", y, np.round(np.clip(rng.normal(0.4 + 0.2 * y, 0.2), 0, 1), 1))
binary("certain and wrong", [0, 1, 1, 0, 1], [1.0, 0.0, 1.0, 0.0, 0.5])
binary("rare positives, low threshold", (rng.random(400) < 0.05).astype(int), rng.beta(1, 12, 400), 0.15)
multiclass("three classes", 3, 250, 1.0)
multiclass("eight classes, weak", 8, 300, 0.3)
x = rng.normal(size=200)
regression("noisy line", x, 0.8 * x + rng.normal(0, 0.3, 200))
regression("large offset", 1e9 + x, 1e9 + x + rng.normal(0, 0.1, 200))
regression("worse than the mean", x, -2 * x)

print(json.dumps({"cases": [{k: ({a: float(b) for a, b in v.items()} if isinstance(v, dict) else v) for k, v in c.items()} for c in cases]}))
