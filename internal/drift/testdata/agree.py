"""The same drift by SciPy, NumPy and Evidently, on random data. Usage: agree.py SEED COUNT, or agree.py --versions.

Writes one case per line: {"name", "numeric", "reference": [...], "current": [...], "expected": {NAME: {"statistic",
"p_value"}}, "evidently": {NAME: score}}. Numbers are written so that they read back to the same bits.

Evidently's tests are imported without its package's own __init__, which loads all of Evidently and needs a pandas before
3.0: evidently.legacy.calculations.stattests is what its reports call, and needs little.
"""

import importlib.util
import json
import os
import sys
import types
import warnings

import numpy as np
import pandas as pd
import scipy
from scipy import stats
from scipy.spatial.distance import jensenshannon

warnings.simplefilter("ignore")


def evidently_tests():
    root = os.path.dirname(importlib.util.find_spec("evidently").origin)
    for name in ("evidently", "evidently.legacy", "evidently.legacy.calculations"):
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(root, *name.split(".")[1:])]
        sys.modules[name] = module
    from evidently.legacy.calculations import stattests
    from evidently.legacy.core import ColumnType

    return stattests, ColumnType


stattests, ColumnType = evidently_tests()


def evidently(test, reference, current, numeric):
    kind = ColumnType.Numerical if numeric else ColumnType.Categorical
    return float(test(pd.Series(reference), pd.Series(current), kind, None).drift_score)


def shares(reference, current):
    values = sorted(set(reference) | set(current))
    a = np.array([np.sum(reference == v) for v in values])
    b = np.array([np.sum(current == v) for v in values])
    return values, a, b


def floored(p, q):
    p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    return float(np.sum((q - p) * np.log(q / p)))


def numbers(reference, current):
    ks = stats.ks_2samp(reference, current)
    values = np.unique(np.concatenate([reference, current]))
    if len(values) <= 20:
        _, a, b = shares(reference, current)
    else:
        inner = np.unique(np.quantile(reference, np.linspace(0, 1, 11)))[1:-1]
        a, b = (np.bincount(np.searchsorted(inner, x, side="left"), minlength=len(inner) + 1) for x in (reference, current))
    p, q = a / len(reference), b / len(current)
    deviation = np.std(reference)
    theirs = {
        "ks": evidently(stattests.ks_stat_test, reference, current, True),
        "wasserstein": evidently(stattests.wasserstein_stat_test, reference, current, True),
    }
    if len(values) <= 20:  # else Evidently has bins of its own: see docs/drift.md
        theirs["js"] = evidently(stattests.jensenshannon_stat_test, reference, current, True)
        if np.all(a > 0) and np.all(b > 0):
            theirs["psi"] = evidently(stattests.psi_stat_test, reference, current, True)
    return {
        "ks": {"statistic": float(ks.statistic), "p_value": float(ks.pvalue)},
        "wasserstein": {"statistic": float(stats.wasserstein_distance(reference, current) / max(deviation, 0.001))},
        "psi": {"statistic": floored(p, q)},
        "js": {"statistic": float(jensenshannon(p, q))},
    }, theirs


def categories(reference, current):
    values, a, b = shares(reference, current)
    p, q = a / len(reference), b / len(current)
    expected = {"psi": {"statistic": floored(p, q)}, "js": {"statistic": float(jensenshannon(p, q))}}
    theirs = {"js": evidently(stattests.jensenshannon_stat_test, reference, current, False)}
    if np.all(p > 0) and np.all(q > 0):  # an empty share is replaced by one of two numbers there
        theirs["psi"] = evidently(stattests.psi_stat_test, reference, current, False)
    if len(values) > 1:
        chi2 = stats.chi2_contingency(np.array([a, b]), correction=False)
        expected["chi2"] = {"statistic": float(chi2[0]), "p_value": float(chi2[1])}
    if len(values) == 2:
        pooled = (a[1] + b[1]) / (len(reference) + len(current))
        z = (q[1] - p[1]) / np.sqrt(pooled * (1 - pooled) * (1 / len(reference) + 1 / len(current)))
        expected["ztest"] = {"statistic": float(z), "p_value": float(2 * stats.norm.sf(abs(z)))}
        if np.all(a > 0):
            theirs["ztest"] = evidently(stattests.z_stat_test, reference, current, False)
    if len(values) > 1 and np.all(a > 0):
        # Evidently tests the current counts against the reference's shares as if those were known: see docs/drift.md.
        theirs["one_sample_chi2"] = evidently(stattests.chi_stat_test, reference, current, False)
    return expected, theirs


def number_pairs(random):
    """Two samples of one shape, the second moved or not, of any two sizes."""
    sizes = [int(10 ** random.uniform(0.5, 3.2)), int(10 ** random.uniform(0.5, 3.2))]
    if random.random() < 0.2:
        sizes[1] = sizes[0]
    if random.random() < 0.15:
        sizes[random.integers(2)] += 10_000  # where p-values are asymptotic
    if random.random() < 0.1:
        sizes = [int(random.uniform(33_000, 60_000)) for _ in sizes]  # which aren't sorted
    shapes = {
        "normal": lambda n: random.normal(size=n),
        "uniform": lambda n: random.random(n),
        "cauchy": lambda n: random.standard_cauchy(n),
        "lognormal": lambda n: random.lognormal(0, 2, n),
        "ties": lambda n: np.round(random.normal(size=n), 1),
        "poisson": lambda n: random.poisson(3, n).astype(float),
        "flag": lambda n: random.integers(0, 2, n).astype(float),
        "zeros": lambda n: random.exponential(1, n) * random.integers(0, 2, n),
        "far": lambda n: 1e9 + random.random(n),
        "tiny": lambda n: random.normal(size=n) * 1e-6,
        "constant": lambda n: np.full(n, 3.5),
    }
    name = str(random.choice(list(shapes)))
    reference, current = shapes[name](sizes[0]), shapes[name](sizes[1])
    if random.random() < 0.6:
        current = current * random.uniform(0.8, 1.2) + random.normal() * (np.std(reference) + 1e-3)
    return f"{name} {sizes[0]} against {sizes[1]}", reference, current


def category_pairs(random):
    sizes = int(10 ** random.uniform(1, 4)), int(10 ** random.uniform(1, 4))
    k = int(random.integers(1, 4)) if random.random() < 0.5 else int(random.integers(2, 40))
    weights, other = random.dirichlet(np.ones(k)), random.dirichlet(np.ones(k))
    if random.random() < 0.5:
        other = weights
    names = np.array([f"k{i}" for i in range(k)])
    return f"{k} categories, {sizes[0]} against {sizes[1]}", random.choice(names, sizes[0], p=weights), random.choice(names, sizes[1], p=other)


def main(seed, count):
    random = np.random.default_rng(seed)
    for i in range(count):
        numeric = i % 2 == 0
        name, reference, current = (number_pairs if numeric else category_pairs)(random)
        expected, theirs = (numbers if numeric else categories)(reference, current)
        # SciPy's jensenshannon is the root of less than nothing where equal shares round so.
        expected = {k: v for k, v in expected.items() if not np.isnan(v["statistic"])}
        theirs = {k: v for k, v in theirs.items() if not np.isnan(v)}
        print(json.dumps({"name": f"{i}: {name}", "numeric": numeric, "reference": reference.tolist(),
                          "current": current.tolist(), "expected": expected, "evidently": theirs}))


if sys.argv[1] == "--versions":
    from importlib.metadata import version

    print("numpy", np.__version__, "scipy", scipy.__version__, "evidently", version("evidently"))
else:
    main(int(sys.argv[1]), int(sys.argv[2]))
