"""What a team writes that serves a model of XGBoost by FastAPI, started by bench/rivals_test.go:

    MODEL=model.json python -m uvicorn --app-dir bench/peers --workers 2 --no-access-log serve_fastapi:app

One thread for each prediction, since workers share the machine; named features in, the score out.
"""

import os

import numpy as np
import xgboost as xgb
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
booster = xgb.Booster({"nthread": 1}, model_file=os.environ["MODEL"])
names = booster.feature_names


class Asked(BaseModel):
    features: dict[str, float | None]


class Answer(BaseModel):
    model: str
    score: float


@app.get("/versions")
def versions() -> dict[str, str]:
    import fastapi
    import uvicorn

    return {"fastapi": fastapi.__version__, "uvicorn": uvicorn.__version__, "xgboost": xgb.__version__}


@app.post("/predict/{model}")
async def predict(model: str, asked: Asked) -> Answer:
    row = [asked.features[name] for name in names]
    x = np.array([[np.nan if v is None else v for v in row]], dtype=np.float32)
    return Answer(model=model, score=float(booster.inplace_predict(x)[0]))
