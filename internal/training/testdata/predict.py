"""Predictions of XGBoost itself. Usage: predict.py MODEL.json ROWS.json; prints {"xgboost", "predictions"}.

ROWS.json is {"types": feature types, "names": feature names, "rows": [[number or null, ...]]}; categories are codes.
"""
import json, sys
import numpy as np, xgboost as xgb

model, rows = sys.argv[1], json.load(open(sys.argv[2]))
booster = xgb.Booster(model_file=model)
x = np.array([[np.nan if v is None else v for v in row] for row in rows["rows"]], dtype=np.float32)
d = xgb.DMatrix(x, feature_names=rows["names"], feature_types=rows["types"], enable_categorical=True)
print(json.dumps({"xgboost": xgb.__version__, "predictions": np.asarray(booster.predict(d), float).ravel().tolist()}))
