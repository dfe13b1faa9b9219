"""Small models of every objective, with answers from XGBoost itself. Usage: make_cases.py OUT [SEED]

Writes OUT/<xgboost version>.json: {"xgboost": version, "cases": [{"name", "model", "rows", "predictions"}]}.
Rows hold null where a value is missing and a category's code where the feature is one (pandas' codes, in the order of
the sorted names). The committed files were made with XGBoost 1.7.6, 2.1.4 and 3.2.0.
"""
import json, math, os, sys, tempfile
import numpy as np, pandas as pd, xgboost as xgb

out, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 7
rng = np.random.default_rng(seed)
n = 200
names = ["b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"]


def frame(missing, categories):
    X = pd.DataFrame({
        "x0": rng.normal(size=n), "x1": rng.exponential(size=n) * 100, "x2": rng.integers(-3, 4, n).astype(float),
        "x3": rng.normal(size=n) * 1e-3,
    })
    if categories:
        X["few"] = pd.Categorical(rng.choice(names[:3], n), categories=names[:3])
        X["many"] = pd.Categorical(rng.choice(names, n), categories=names)
    if missing:
        for c in X.columns:
            X.loc[rng.random(n) < 0.15, c] = np.nan
    return X


def target(X):
    z = X["x0"].fillna(0.3) + 0.01 * X["x1"].fillna(50) + 0.4 * X["x2"].fillna(-1)
    if "many" in X:
        z = z + X["many"].cat.codes % 3 - (X["few"].cat.codes == 1)
    return (z + rng.normal(size=n) * 0.3).to_numpy()


def case(name, params, missing=True, categories=False, rounds=4):
    X = frame(missing, categories)
    z = target(X)
    objective = params["objective"]
    if objective.startswith("binary") or objective == "reg:logistic":
        y = (z > np.median(z)).astype(float)
    elif objective.startswith("multi"):
        y = np.digitize(z, np.quantile(z, [0.3, 0.7])).astype(float)
    elif objective == "rank:map":
        y = (z > np.median(z)).astype(float)
    elif objective.startswith("rank"):
        y = np.digitize(z, np.quantile(z, [0.3, 0.7])).astype(float)
    elif objective in ("count:poisson", "reg:gamma", "reg:tweedie", "reg:squaredlogerror"):
        y = np.exp(z / 3)
    else:
        y = z * 1000
    d = xgb.DMatrix(X, label=y, enable_categorical=categories)
    if objective.startswith("rank"):
        d.set_group([n // 10] * 10)
    m = xgb.train({"max_depth": 3, "tree_method": "hist", "seed": 1, "nthread": 1, **params}, d, num_boost_round=rounds)
    path = os.path.join(tempfile.mkdtemp(), "model.json")
    m.save_model(path)
    T = X[:40]
    p = np.asarray(m.predict(xgb.DMatrix(T, enable_categorical=categories)), float)
    T = T.copy()
    for c in T.columns:
        if str(T[c].dtype) == "category":
            T[c] = T[c].cat.codes.replace(-1, np.nan)
    rows = [[None if math.isnan(v) else float(v) for v in row] for row in T.to_numpy(float)]
    return {"name": name, "model": json.loads(open(path).read()), "rows": rows, "predictions": p.tolist()}


cases = []
for objective in ["binary:logistic", "binary:logitraw", "reg:logistic", "reg:squarederror", "reg:squaredlogerror",
                  "reg:pseudohubererror", "reg:absoluteerror", "count:poisson", "reg:gamma", "reg:tweedie",
                  "rank:pairwise", "rank:ndcg", "rank:map"]:
    cases.append(case(objective, {"objective": objective}))
for objective in ["multi:softprob", "multi:softmax"]:
    cases.append(case(objective, {"objective": objective, "num_class": 3}, rounds=3))
cases.append(case("base score given", {"objective": "binary:logistic", "base_score": 0.2}))
cases.append(case("base score given for values", {"objective": "reg:squarederror", "base_score": -321.5}))
cases.append(case("base score given for counts", {"objective": "count:poisson", "base_score": 2.5}))
cases.append(case("no missing values", {"objective": "binary:logistic"}, missing=False))
cases.append(case("categories one-hot", {"objective": "binary:logistic", "max_cat_to_onehot": 100}, categories=True))
cases.append(case("categories by partition", {"objective": "reg:squarederror", "max_cat_to_onehot": 1}, categories=True))
cases.append(case("categories of classes", {"objective": "multi:softprob", "num_class": 3, "max_cat_to_onehot": 4}, categories=True, rounds=3))
cases.append(case("dart", {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.4, "one_drop": 1}, rounds=8))
cases.append(case("random forest", {"objective": "binary:logistic", "num_parallel_tree": 4, "subsample": 0.5,
                                    "colsample_bynode": 0.6}, rounds=2))
cases.append(case("leaf-wise and deep", {"objective": "reg:squarederror", "grow_policy": "lossguide", "max_depth": 0,
                                         "max_leaves": 40, "min_child_weight": 0}, rounds=3))
with open(os.path.join(out, xgb.__version__ + ".json"), "w") as f:
    json.dump({"xgboost": xgb.__version__, "cases": cases}, f, separators=(",", ":"))
