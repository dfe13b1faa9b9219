"""The other side of bench/trees_test.go: gradient-boosted trees by histograms on one thread, with the same rounds, depth,
learning rate and bins. main() of peers.py calls it; a time is that of this process's CPU, from arrays in memory to a
trained model. What a library calls otherwise is said here; what isn't named has the library's default."""

import time

import numpy as np


def read(path, columns, kind):
    table = np.fromfile(path, dtype="<f8").reshape(-1, columns, order="F")
    return np.ascontiguousarray(table[:, :-1], dtype=kind), table[:, -1]


def xgboost(train, test, columns, rounds, depth, eta, bins, categories):
    import xgboost as xgb
    from sklearn.metrics import roc_auc_score

    types = ["c" if i in categories else "q" for i in range(columns - 1)]
    x, y = read(train, columns, np.float32)  # its own type: nothing to convert
    begin = time.process_time()
    params = {"objective": "binary:logistic", "tree_method": "hist", "nthread": 1, "max_depth": depth, "eta": eta, "max_bin": bins}
    data = xgb.QuantileDMatrix(x, y, feature_types=types, enable_categorical=True, max_bin=bins, nthread=1)
    booster = xgb.train(params, data, rounds)
    seconds = time.process_time() - begin
    x, y = read(test, columns, np.float32)
    return seconds, xgb.__version__, [float(roc_auc_score(y, booster.inplace_predict(x)))]


def sklearn(train, test, columns, rounds, depth, eta, bins, categories):
    import sklearn
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    x, y = read(train, columns, np.float64)
    model = HistGradientBoostingClassifier(
        max_iter=rounds, max_depth=depth, max_leaf_nodes=2**depth, learning_rate=eta, max_bins=bins, min_samples_leaf=1,
        l2_regularization=1.0, early_stopping=False, categorical_features=categories or None,
    )  # fmt: skip
    begin = time.process_time()
    model.fit(x, y)
    seconds = time.process_time() - begin
    x, y = read(test, columns, np.float64)
    return seconds, sklearn.__version__, [float(roc_auc_score(y, model.predict_proba(x)[:, 1]))]
