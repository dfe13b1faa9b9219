"""Drift cases with answers computed by SciPy. Usage: make_cases.py OUT SEED (SciPy 1.10.1; seed 7 made cases/)"""
import json, os, sys
import numpy as np, pandas as pd
from scipy import stats
from scipy.spatial.distance import jensenshannon

out, seed = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(seed)
os.makedirs(out, exist_ok=True)

def clean(x):
    return np.asarray(x, float)[~np.isnan(np.asarray(x, float))]

def edges(ref, bins=10):
    return np.unique(np.quantile(ref, np.linspace(0, 1, bins + 1)))

def proportions(x, inner):
    # bin i holds values in (inner[i-1], inner[i]]; the outer bins are open
    idx = np.searchsorted(inner, x, side="left")
    return np.bincount(idx, minlength=len(inner) + 1) / len(x)

def floor(p):
    return np.maximum(p, 1e-4)

def psi(p, q):
    p, q = floor(p), floor(q)
    return float(np.sum((q - p) * np.log(q / p)))

def numeric(ref, cur):
    ref, cur = clean(ref), clean(cur)
    ks = stats.ks_2samp(ref, cur)
    values = np.unique(np.concatenate([ref, cur]))
    if len(values) <= 20:  # few distinct values: each is its own bin
        p = np.array([(ref == v).mean() for v in values]); q = np.array([(cur == v).mean() for v in values])
    else:
        inner = edges(ref)[1:-1]
        p, q = proportions(ref, inner), proportions(cur, inner)
    w = stats.wasserstein_distance(ref, cur)
    return {
        "ks": {"statistic": float(ks.statistic), "p_value": float(ks.pvalue)},
        "wasserstein": {"statistic": float(w / max(np.std(ref), 0.001))},
        "psi": {"statistic": psi(p, q)},
        "js": {"statistic": float(jensenshannon(p, q))},
    }

def categorical(ref, cur):
    r, c = pd.Series(ref).dropna().astype(str), pd.Series(cur).dropna().astype(str)
    cats = sorted(set(r) | set(c))
    a = np.array([(r == k).sum() for k in cats]); b = np.array([(c == k).sum() for k in cats])
    p, q = a / a.sum(), b / b.sum()
    res = {"psi": {"statistic": psi(p, q)}, "js": {"statistic": float(jensenshannon(p, q))}}
    if len(cats) > 1:
        chi = stats.chi2_contingency(np.array([a, b]), correction=False)
        res["chi2"] = {"statistic": float(chi[0]), "p_value": float(chi[1])}
    return res

def emit(name, ref, cur):
    d = os.path.join(out, name); os.makedirs(d, exist_ok=True)
    ref, cur = pd.DataFrame(ref), pd.DataFrame(cur)
    ref.to_csv(f"{d}/reference.csv", index=False); cur.to_csv(f"{d}/current.csv", index=False)
    ref, cur = pd.read_csv(f"{d}/reference.csv", float_precision="round_trip"), pd.read_csv(f"{d}/current.csv", float_precision="round_trip")
    exp = {}
    for col in ref.columns:
        if pd.api.types.is_numeric_dtype(ref[col]) and pd.api.types.is_numeric_dtype(cur[col]):
            exp[col] = {"type": "numeric", **numeric(ref[col], cur[col])}
        else:
            exp[col] = {"type": "categorical", **categorical(ref[col], cur[col])}
    json.dump({"columns": exp}, open(f"{d}/expected.json", "w"), indent=1)

def norm(n, m=0, s=1): return np.round(rng.normal(m, s, n), 6)

emit("small_exact", {"same": norm(200), "shift": norm(200), "scale": norm(200)},
     {"same": norm(150), "shift": norm(150, .5), "scale": norm(150, 0, 2)})
emit("equal_sizes_exact", {"a": norm(300), "b": norm(300)}, {"a": norm(300), "b": norm(300, .3)})
emit("ties", {"count": rng.poisson(3, 500), "flag": rng.integers(0, 2, 500)}, {"count": rng.poisson(4, 400), "flag": (rng.random(400) < .7).astype(int)})
emit("large_asymptotic", {"same": norm(12000), "tiny_shift": norm(12000), "heavy": np.round(rng.standard_cauchy(12000), 6)},
     {"same": norm(11000), "tiny_shift": norm(11000, .03), "heavy": np.round(rng.standard_cauchy(11000) * 1.1, 6)})
x = norm(800); x[rng.random(800) < .1] = np.nan
y = norm(600, .2); y[rng.random(600) < .3] = np.nan
emit("missing_values", {"v": x}, {"v": y})
emit("categories", {"carrier": rng.choice(["AA", "UA", "DL", "B6"], 900, p=[.4, .3, .2, .1]), "origin": rng.choice(["JFK", "LGA", "EWR"], 900)},
     {"carrier": rng.choice(["AA", "UA", "DL", "B6"], 700, p=[.3, .3, .2, .2]), "origin": rng.choice(["JFK", "LGA", "EWR"], 700)})
emit("unseen_category", {"c": rng.choice(["a", "b"], 500)}, {"c": rng.choice(["a", "b", "new"], 500, p=[.45, .45, .1])})
