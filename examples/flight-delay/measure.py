#!/usr/bin/env python3
"""Measures what the example's data can honestly give, apart from leanloop.

    /tmp/flights/bin/pip install pandas==3.1.1 scipy==1.17.1 scikit-learn==1.9.1 xgboost==3.2.0
    /tmp/flights/bin/python measure.py quality    # the README's tables 1 and 2
    /tmp/flights/bin/python measure.py drift      # and 3

XGBoost stands in for the built-in trees and scikit-learn for the metrics, so
that the gates in model.yaml don't rest on the code that they judge. The split
is the design's: the newest 20 % of the flights (at most 30 days) are test rows,
the newest 10 % before them are validation rows, the rest train.
"""

import pathlib
import sys

import numpy
import pandas
import sklearn.metrics as metrics
import xgboost
from scipy.stats import ks_2samp

CATEGORIES = ["origin", "carrier", "dest"]
FEATURES = ["hour", "origin", "temp", "humid", "wind_speed", "precip", "pressure", "visib",
            "carrier", "dest", "scheduled_minutes", "dep_delay"]
LEAKED = FEATURES + ["air_time"]
PARAMS = dict(n_estimators=60, max_depth=4, learning_rate=0.1, min_child_weight=20,
              tree_method="hist", enable_categorical=True, n_jobs=1)
# Below this share a bin counts as this share, so that an empty one has a logarithm.
PSI_FLOOR = 1e-4


def read():
    files = sorted((pathlib.Path(__file__).parent / "data").glob("*.csv.gz"))
    months = [pandas.read_csv(path).assign(month=i) for i, path in enumerate(files, 1)]
    flights = pandas.concat(months, ignore_index=True)
    for name in CATEGORIES:
        flights[name] = flights[name].astype("category")
    flights["at"] = pandas.to_datetime(flights.scheduled_departure, utc=True)
    return flights


def split(flights):
    rows = flights[flights.late_15.notna()].sort_values("at", kind="stable")
    test = rows.iloc[len(rows) - int(len(rows) * 0.2):]
    test = test[test["at"] > test["at"].max() - pandas.Timedelta("30D")]
    rest = rows.iloc[:len(rows) - len(test)]
    return rest.iloc[:-int(len(rows) * 0.1)], test


def fit(rows, features):
    return xgboost.XGBClassifier(**PARAMS).fit(rows[features], rows.late_15)


def scores(late, predicted, probability):
    return (f"{metrics.accuracy_score(late, predicted):.3f} | {metrics.f1_score(late, predicted):.3f} | "
            f"{metrics.roc_auc_score(late, probability):.3f}")


def gain(late, before, after, rounds=500, seed=42):
    """AUC difference and the lower 95 % bound of its paired bootstrap (one-sided)."""
    random, late = numpy.random.default_rng(seed), late.to_numpy()
    found = []
    for _ in range(rounds):
        rows = random.integers(0, len(late), len(late))
        found.append(metrics.roc_auc_score(late[rows], after[rows]) - metrics.roc_auc_score(late[rows], before[rows]))
    whole = metrics.roc_auc_score(late, after) - metrics.roc_auc_score(late, before)
    return f"{whole:+.4f} ({numpy.quantile(found, 0.05):+.4f})"


def recall_gap(test, predicted, by, least=50):
    """Best less worst recall among the groups of at least so many rows."""
    groups = test.assign(predicted=predicted).groupby(by, observed=True)
    recalls = [metrics.recall_score(g.late_15, g.predicted) for _, g in groups if len(g) >= least]
    return max(recalls) - min(recalls)


def quality(flights):
    print("trained on | test rows | late | rule: acc | F1 | AUC | trees: acc | F1 | AUC")
    models, tests = {}, {}
    for last in range(1, 13):
        train, test = split(flights[flights.month <= last])
        model = fit(train, FEATURES)
        models[last], tests[last] = model, (train, test)
        probability = model.predict_proba(test[FEATURES])[:, 1]
        print(f"01-{last:02d} | {len(test):,} | {test.late_15.mean():.1%} | "
              f"{scores(test.late_15, test.dep_delay > 15, test.dep_delay)} | "
              f"{scores(test.late_15, probability > 0.5, probability)}", flush=True)

    print("\ntrained on | with air_time: acc | F1 | AUC | gain in AUC (lower bound) | air_time missing: acc | F1 | AUC")
    for last in (1, 3, 4, 6, 8):
        train, test = tests[last]
        honest = models[last].predict_proba(test[FEATURES])[:, 1]
        model = fit(train, LEAKED)
        leaked = model.predict_proba(test[LEAKED])[:, 1]
        served = model.predict_proba(test[LEAKED].assign(air_time=numpy.nan))[:, 1]
        print(f"01-{last:02d} | {scores(test.late_15, leaked > 0.5, leaked)} | {gain(test.late_15, honest, leaked)} | "
              f"{scores(test.late_15, served > 0.5, served)}", flush=True)

    print("\ntrained on | gap in recall by origin | by carrier")
    for last in (1, 3, 4, 6, 8):
        test = tests[last][1]
        predicted = models[last].predict_proba(test[FEATURES])[:, 1] > 0.5
        gaps = [f"{recall_gap(test, predicted, by):.3f}" for by in ("origin", "carrier")]
        print(f"01-{last:02d} | {' | '.join(gaps)}", flush=True)

    print("\nchampion | challenger | gain in AUC on the challenger's test rows (lower bound)")
    for old, new in ((1, 3), (1, 4), (3, 4), (3, 6), (3, 8), (6, 8)):
        test = tests[new][1]
        before, after = (models[m].predict_proba(test[FEATURES])[:, 1] for m in (old, new))
        print(f"01-{old:02d} | 01-{new:02d} | {gain(test.late_15, before, after)}", flush=True)


def psi(expected, observed):
    shares = [numpy.maximum(x, PSI_FLOOR) for x in (expected, observed)]
    return float(((shares[1] - shares[0]) * numpy.log(shares[1] / shares[0])).sum())


def drift_of(reference, window, name):
    """(PSI, KS distance): bins at the reference's deciles and one for nulls; a
    category is a bin of its own and has no KS distance."""
    old, new = reference[name], window[name]
    if name in CATEGORIES:
        counts = [x.value_counts(normalize=True).reindex(old.cat.categories).fillna(0).to_numpy() for x in (old, new)]
        return psi(*counts), float("nan")
    edges = numpy.unique(numpy.quantile(old.dropna(), numpy.linspace(0, 1, 11)))
    if len(edges) < 3:  # nine tenths of the values are one, as with rain: that one, and the rest
        edges = numpy.array([edges[0], numpy.nextafter(edges[0], numpy.inf), edges[-1]])
    edges[0], edges[-1] = -numpy.inf, numpy.inf
    shares = [numpy.append(numpy.histogram(x.dropna(), edges)[0] / len(x), x.isna().mean()) for x in (old, new)]
    used = (shares[0] > 0) | (shares[1] > 0)
    return psi(shares[0][used], shares[1][used]), ks_2samp(old.dropna(), new.dropna(), method="asymp").statistic


def drift(flights):
    winter = flights[flights.month <= 3]
    windows = {"June-August": flights[flights.month.isin([6, 7, 8])]}
    windows.update({f"2013-{m:02d}": flights[flights.month == m] for m in range(4, 13)})
    start = winter["at"].min().normalize()
    for week in range(0, 12, 2):
        days = winter["at"] - start
        within = winter[(days >= pandas.Timedelta(days=7 * week)) & (days < pandas.Timedelta(days=7 * week + 7))]
        windows[f"week {week + 1}"] = within
    print("PSI / KS against January-March | " + " | ".join(FEATURES))
    for label, window in windows.items():
        found = (drift_of(winter, window, name) for name in FEATURES)
        print(f"{label} | " + " | ".join(f"{p:.3f}" if numpy.isnan(d) else f"{p:.3f} / {d:.2f}" for p, d in found), flush=True)


if __name__ == "__main__":
    asked = {"quality": quality, "drift": drift}.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if asked is None:
        sys.exit(f"usage: {sys.argv[0]} quality|drift")
    asked(read())
