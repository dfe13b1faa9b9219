"""P-values computed by SciPy, over all ranges of its methods. Usage: make_pvalues.py > pvalues.json (SciPy 1.17.1)"""
import json
import numpy as np
from scipy import stats

rng = np.random.default_rng(11)
out = {"kstwo": [], "ks_exact": [], "chi2": [], "ztest": [], "quantile": []}

# P(D_n >= d): every branch of _kolmogn, and both sides of each limit
for n in [1, 2, 5, 17, 100, 140, 141, 1000, 5739, 10_000, 99_999, 100_001, 500_000]:
    zs = [0.05, 0.2, 0.35, 0.5, 0.7, 0.8687, 0.8689, 1.0, 1.4832, 1.4833, 1.9, 2.0, 2.1, 3.0, 5.0, 10.0, 19.0, 19.3]
    ds = {z / np.sqrt(n) for z in zs} | {0.4 / n, 0.6 / n, 0.999 / n, 1.001 / n, 0.25, 0.499, 0.5, 0.75, (n - 0.5) / n, (1.4 / n) ** (2 / 3)}
    for d in sorted(ds):
        if 0 < d < 1:
            out["kstwo"].append({"n": n, "d": float(d), "sf": float(stats.kstwo.sf(d, n))})

# exact two-sample p-values: D = h / lcm
for n, m in [(1, 1), (3, 2), (7, 7), (10, 4), (50, 50), (200, 150), (997, 1000), (1000, 1000), (1000, 9999), (10_000, 10_000), (10_000, 2500)]:
    lcm = np.lcm(n, m)
    for d in [0.001, 0.01, 0.02, 0.05, 0.1, 0.3, 0.6, 0.9, 1.0]:
        h = max(1, int(round(d * lcm)))
        ok, d, p = stats._stats_py._attempt_exact_2kssamp(n, m, np.gcd(n, m), h / lcm, "two-sided")
        if not ok:  # SciPy leaves the exact method where rounding takes it a hair past 1
            assert abs(p - 1) < 1e-9, (n, m, h, p)
            p = 1.0
        out["ks_exact"].append({"n": n, "m": m, "h": h, "p": float(p)})

for k in [2, 3, 5, 20, 100]:
    for scale in [0.001, 0.02, 0.1, 0.5, 2.0]:
        a = rng.integers(1, 400, k)
        b = np.maximum(0, np.round(a * 0.7 * np.exp(scale * rng.normal(size=k)))).astype(int)
        if b.sum() == 0:
            continue
        r = stats.chi2_contingency(np.array([a, b]), correction=False)
        out["chi2"].append({"reference": a.tolist(), "current": b.tolist(), "statistic": float(r[0]), "p": float(r[1])})

for a, n, b, m in [(1, 10, 5, 12), (50, 100, 52, 100), (0, 40, 9, 30), (400, 500, 100, 500), (7, 1000, 3, 900), (30, 30, 20, 30)]:
    pooled = (a + b) / (n + m)
    z = (b / m - a / n) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    out["ztest"].append({"a": a, "n": n, "b": b, "m": m, "z": float(z), "p": float(2 * stats.norm.sf(abs(z)))})

for n in [1, 2, 3, 7, 10, 11, 101, 1000]:
    x = np.sort(np.round(rng.normal(size=n), 3))
    out["quantile"].append({"x": x.tolist(), "q": np.quantile(x, np.linspace(0, 1, 11)).tolist()})

print(json.dumps(out, indent=0))
