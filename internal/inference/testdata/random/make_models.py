"""Random XGBoost models of every objective and booster, with XGBoost's own answers. Usage: make_models.py SEED COUNT

Prints {"xgboost": version, "cases": [{"name", "model", "rows", "predictions"}]}; rows hold null where a value is missing and
a category's code where the feature is one.
"""
import json, math, os, sys, tempfile
import numpy as np, pandas as pd, xgboost as xgb

rng = np.random.default_rng(int(sys.argv[1]))
OBJECTIVES = ["binary:logistic", "binary:logitraw", "binary:hinge", "reg:logistic", "reg:squarederror", "reg:squaredlogerror",
              "reg:pseudohubererror", "reg:absoluteerror", "reg:quantileerror", "count:poisson", "reg:gamma", "reg:tweedie",
              "survival:cox", "survival:aft", "rank:pairwise", "rank:ndcg", "rank:map", "multi:softprob", "multi:softmax"]


def pick(*values):
    return values[rng.integers(len(values))]


def frame(n, categories):
    X = pd.DataFrame({f"x{i}": rng.normal(size=n) * 10.0 ** rng.integers(-3, 4) for i in range(rng.integers(1, 7))})
    for i in range(rng.integers(1, 3) if categories else 0):
        names = [f"v{k:02}" for k in range(pick(2, 5, 40))]
        X[f"c{i}"] = pd.Categorical(rng.choice(names, n), categories=names)
    for c in X.columns:
        X.loc[rng.random(n) < pick(0, 0.2, 0.6), c] = np.nan
    return X


def case(objective):
    booster = pick("gbtree", "gbtree", "dart", "gblinear")
    linear = booster == "gblinear"
    n = int(pick(60, 300))
    X = frame(n, not linear and rng.random() < 0.5)
    z = np.nan_to_num(X["x0"].to_numpy(float)) / (X["x0"].std() or 1) + rng.normal(size=n) * 0.5
    z = np.nan_to_num(z)
    params = {"objective": objective, "booster": booster, "seed": int(rng.integers(1000)), "nthread": 1, "verbosity": 0}
    if linear:
        params |= {"updater": "coord_descent", "feature_selector": "cyclic"}
    else:
        params |= {"tree_method": "hist", "max_depth": int(pick(1, 3, 6, 14)), "eta": float(pick(0.1, 0.3, 1.0)),
                   "max_cat_to_onehot": int(pick(1, 4, 100)), "grow_policy": pick("depthwise", "lossguide"), "subsample": float(pick(0.7, 1.0))}
        if booster == "dart":
            params |= {"rate_drop": 0.4, "one_drop": 1}
    if objective.startswith("multi"):
        params["num_class"] = int(pick(3, 5))
        y = np.digitize(z, np.quantile(z, np.linspace(0, 1, params["num_class"] + 1)[1:-1])).astype(float)
    elif objective.startswith("binary") or objective in ("reg:logistic", "rank:map", "rank:pairwise"):
        y = (z > np.median(z)).astype(float)
    elif objective == "rank:ndcg":
        y = np.digitize(z, np.quantile(z, [0.3, 0.7])).astype(float)
    elif objective in ("count:poisson", "reg:gamma", "reg:tweedie", "reg:squaredlogerror", "survival:cox", "survival:aft"):
        y = np.exp(z / 3)
    else:
        y = z * 10.0 ** rng.integers(-2, 4)
    if objective == "reg:quantileerror":
        params["quantile_alpha"] = 0.3
    if rng.random() < 0.2 and not objective.startswith(("multi", "rank")):
        params["base_score"] = 0.3
    d = xgb.DMatrix(X, label=y, enable_categorical=True)
    if objective.startswith("rank"):
        d.set_group([n // 10] * 10)
    if objective == "survival:aft":
        d.set_float_info("label_lower_bound", y)
        d.set_float_info("label_upper_bound", y)
    m = xgb.train(params, d, num_boost_round=int(pick(1, 5, 20)))
    path = os.path.join(tempfile.mkdtemp(), "model.json")
    m.save_model(path)
    T = X[:25].copy()
    p = np.asarray(m.predict(xgb.DMatrix(T, enable_categorical=True)), float)
    for c in T.columns:
        if str(T[c].dtype) == "category":
            T[c] = T[c].cat.codes.replace(-1, np.nan)
    rows = [[None if math.isnan(v) else float(v) for v in row] for row in T.to_numpy(float)]
    return {"name": f"{objective} {booster}", "model": json.loads(open(path).read()), "rows": rows, "predictions": p.tolist()}


cases = []
for i in range(int(sys.argv[2])):
    for objective in OBJECTIVES:
        cases.append(case(objective))
json.dump({"xgboost": xgb.__version__, "cases": cases}, sys.stdout)
