"""Estimates of quality without labels, by NannyML's CBPE on its own data sets.

Usage: make_cbpe.py > cbpe.json (nannyml 0.13.1, scikit-learn 1.9.1, NumPy 2.4.6)

Each case has rows with labels (the reference), rows without (the analysis), and what NannyML makes of them: whether it
calibrates each class's scores, the isotonic curves, and the estimate of each metric on the analysis rows.
"""
import json
import os
import sys
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml as nml
import numpy as np
from nannyml.performance_estimation.confidence_based import CBPE

warnings.filterwarnings("ignore")
METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc"]
rng = np.random.default_rng(5)
cases = []


def curve(calibrator):
    r = getattr(calibrator, "_regressor", None)
    if r is None:
        return {"x": [], "y": []}
    return {"x": np.atleast_1d(r.X_thresholds_).tolist(), "y": np.atleast_1d(r.y_thresholds_).tolist()}


def estimates(estimator, analysis):
    result = estimator.estimate(analysis).filter(period="analysis").to_df()
    assert len(result) == 1, len(result)
    return {m: float(result[m]["value"].iloc[0]) for m in METRICS}


def binary(name, reference, analysis, score, target, threshold=0.5):
    for d in (reference, analysis):
        d["called"] = (d[score] >= threshold).astype(int)
    e = CBPE(metrics=METRICS, y_pred_proba=score, y_pred="called", y_true=target, problem_type="classification_binary",
             chunk_number=1)
    e.fit(reference)
    cases.append({
        "name": name, "task": "binary", "classes": 2, "threshold": threshold,
        "y": reference[target].astype(int).tolist(), "p": reference[score].tolist(), "unlabelled": analysis[score].tolist(),
        "curves": [curve(e.calibrator) if e.needs_calibration else curve(None)], "estimates": estimates(e, analysis),
    })


def multiclass(name, reference, analysis, columns, target):
    classes = sorted(columns)
    names = [columns[c] for c in classes]
    for d in (reference, analysis):
        d["called"] = [classes[i] for i in np.argmax(d[names].to_numpy(), axis=1)]
    e = CBPE(metrics=METRICS, y_pred_proba=columns, y_pred="called", y_true=target, problem_type="classification_multiclass",
             chunk_number=1)
    e.fit(reference)
    cases.append({
        "name": name, "task": "multiclass", "classes": len(classes), "threshold": 0.5,
        "y": [classes.index(v) for v in reference[target]], "p": reference[names].to_numpy().ravel().tolist(),
        "unlabelled": analysis[names].to_numpy().ravel().tolist(),
        "curves": [curve(e._calibrators[c]) for c in classes], "estimates": estimates(e, analysis),
    })


def some(data, rows):
    return data.sample(rows, random_state=int(rng.integers(1 << 30))).sort_index().reset_index(drop=True)


loans = nml.load_synthetic_car_loan_dataset()
binary("car loans", some(loans[0], 3000), some(loans[1], 1000), "y_pred_proba", "repaid")
binary("car loans, few called", some(loans[0], 1500), some(loans[1].tail(10000), 800), "y_pred_proba", "repaid", 0.9)

home = nml.load_synthetic_binary_classification_dataset()
reference, analysis = some(home[0], 3000), some(home[1], 1000)
for d in (reference, analysis):  # an overconfident model: what calibration is for
    odds = np.log(np.clip(d["y_pred_proba"], 0.01, 0.99) / (1 - np.clip(d["y_pred_proba"], 0.01, 0.99)))
    d["y_pred_proba"] = np.round(1 / (1 + np.exp(-3 * odds - 0.7)), 6)
binary("work from home, overconfident", reference, analysis, "y_pred_proba", "work_home_actual")

jobs = nml.load_us_census_ma_employment_data()
reference, analysis = some(jobs[0], 2500), some(jobs[1], 1200)
for d in (reference, analysis):
    d["predicted_probability"] = d["predicted_probability"].round(9)
binary("employment", reference, analysis, "predicted_probability", "employed")

cards = nml.load_synthetic_multiclass_classification_dataset()
columns = {c: "y_pred_proba_" + c for c in ("prepaid_card", "highstreet_card", "upmarket_card")}
reference, analysis = some(cards[0], 2500), some(cards[1], 800)
multiclass("credit cards", reference, analysis, columns, "y_true")

names = list(columns.values())
for d in (reference, analysis):  # sharper than it should be, without ties
    p = d[names].to_numpy() + rng.uniform(0.001, 0.004, (len(d), 3))
    p = p ** 2.5
    d[names] = np.round(p / p.sum(axis=1, keepdims=True), 9)
multiclass("credit cards, overconfident", reference, analysis, columns, "y_true")

json.dump({"cases": cases}, sys.stdout, separators=(",", ":"))
print()
