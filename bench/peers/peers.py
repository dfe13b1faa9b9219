"""The other side of bench/data_test.go: one piece of work per line of standard input, answered by a line with its seconds.

A line is {"work": NAME, ...arguments}; the answer is {"seconds": S, "version": V} or {"error": TEXT}. Work that a
library isn't here for answers with an error, and the benchmark leaves that peer out. Threads are the process's: set
POLARS_MAX_THREADS and the like before it starts.
"""

import gc
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def pandas_read(path):
    import pandas as pd

    begin = time.perf_counter()
    frame = pd.read_csv(path)
    seconds = time.perf_counter() - begin
    assert len(frame) > 0
    return seconds, pd.__version__


def polars_read(path):
    import polars as pl

    begin = time.perf_counter()
    frame = pl.read_csv(path)
    seconds = time.perf_counter() - begin
    assert frame.height > 0
    return seconds, pl.__version__


def great_expectations(path, suite):
    """Reads with pandas and holds the rows to a suite, with the results that it gives unless told otherwise."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    with open(suite) as f:
        rules = gx.ExpectationSuite(**json.load(f))
    begin = time.perf_counter()
    asset = context.data_sources.add_pandas("bench").add_dataframe_asset(name="bench")
    batch = asset.add_batch_definition_whole_dataframe("bench").get_batch({"dataframe": pd.read_csv(path)})
    outcome = batch.validate(rules)
    seconds = time.perf_counter() - begin
    assert outcome.success, outcome
    return seconds, gx.__version__


def binary(path, columns):
    """A table of float64 as bench/data_test.go writes it, column after column."""
    import numpy as np

    return np.fromfile(path, dtype="<f8").reshape(-1, columns, order="F")


def numpy_drift(reference, current, columns):
    import drift_numpy
    import numpy as np

    a, b = binary(reference, columns), binary(current, columns)
    begin = time.perf_counter()
    found = [drift_numpy.compare(a[:, i], b[:, i]) for i in range(a.shape[1])]
    seconds = time.perf_counter() - begin
    return seconds, np.__version__, [float(f[m]) for f in found for m in ("ks", "wasserstein", "psi", "js")]


def evidently_drift(reference, current, columns):
    """KS, normalised Wasserstein distance, PSI and Jensen-Shannon distance of each column."""
    import warnings

    warnings.simplefilter("ignore")
    import evidently
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    a, b = binary(reference, columns), binary(current, columns)
    names = [f"c{i}" for i in range(a.shape[1])]
    kind = DataDefinition(numerical_columns=names)
    a = Dataset.from_pandas(pd.DataFrame(a, columns=names), data_definition=kind)
    b = Dataset.from_pandas(pd.DataFrame(b, columns=names), data_definition=kind)
    begin = time.perf_counter()
    report = Report([ValueDrift(column=name, method=m) for name in names for m in ("ks", "wasserstein", "psi", "jensenshannon")])
    found = report.run(b, a).dict()
    seconds = time.perf_counter() - begin
    return seconds, evidently.__version__, [float(m["value"]) for m in found["metrics"]]


def scoring(model, path, columns):
    import numpy as np
    import xgboost as xgb

    booster = xgb.Booster({"nthread": 1}, model_file=model)
    return booster, np.ascontiguousarray(binary(path, columns), dtype=np.float32), xgb.__version__


def xgboost_core(model, path, columns, rows, calls):
    """XGBoost's own predictor, called by its C API as cheaply as Python can: every argument is made beforehand."""
    import ctypes

    import numpy as np
    from xgboost.core import _LIB, _check_call

    booster, x, version = scoring(model, path, columns)
    config = b'{"type": 0, "training": false, "iteration_begin": 0, "iteration_end": 0, "missing": NaN, "strict_shape": false, "cache_id": 0}'
    blocks = []
    for start in range(0, len(x) - rows + 1, rows):
        data = {"data": [x[start:].ctypes.data, True], "shape": [rows, columns], "typestr": "<f4", "version": 3, "strides": None}
        blocks.append(json.dumps(data).encode())
    shape, dims, result = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64(), ctypes.POINTER(ctypes.c_float)()
    out = [ctypes.byref(v) for v in (shape, dims, result)]
    predict, handle, none = _LIB.XGBoosterPredictFromDense, booster.handle, ctypes.c_void_p()
    _check_call(predict(handle, blocks[0], config, none, *out))
    begin = time.perf_counter()
    for i in range(calls):
        predict(handle, blocks[i % len(blocks)], config, none, *out)
    seconds = time.perf_counter() - begin
    _check_call(predict(handle, blocks[0], config, none, *out))
    return seconds, version, np.ctypeslib.as_array(result, (rows,)).astype(float).tolist()


def xgboost_inplace(model, path, columns, rows, calls):
    """The same as Python programs call it."""
    booster, x, version = scoring(model, path, columns)
    blocks = [x[start : start + rows] for start in range(0, len(x) - rows + 1, rows)]
    booster.inplace_predict(blocks[0])
    begin = time.perf_counter()
    for i in range(calls):
        booster.inplace_predict(blocks[i % len(blocks)])
    return time.perf_counter() - begin, version, booster.inplace_predict(blocks[0]).astype(float).tolist()


def optuna_search(function, space, seeds, trials):
    """The best value after so many trials, for each seed, by Optuna's TPE sampler with its defaults."""
    import search_optuna

    begin = time.perf_counter()
    found, version = search_optuna.study(function, space, seeds, trials)
    return time.perf_counter() - begin, version, found


def xgboost_trees(**asked):
    import train_trees

    return train_trees.xgboost(**asked)


def sklearn_trees(**asked):
    import train_trees

    return train_trees.sklearn(**asked)


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        asked = json.loads(line)
        work = globals()[asked.pop("work")]
        gc.collect()
        try:
            seconds, version, *found = work(**asked)
            answer = {"seconds": seconds, "version": version, "found": found[0] if found else None}
        except Exception as problem:  # noqa: BLE001: whatever it is, the other side reports it
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
