"""Predicts a file of rows with what train.py left: the part that SageMaker's serving container has.

A version is judged by this program (predict.command in model.yaml), and `starter score` runs it on rows of yours.
"""

import os

import pandas as pd

from train import model_fn


def main():
    model = model_fn(os.environ["SM_MODEL_DIR"])
    rows = pd.read_csv(os.environ["LEANLOOP_ROWS"])
    answers = pd.DataFrame({"prediction": model.predict(rows[list(model.feature_names_in_)])})
    answers.to_csv(os.environ["LEANLOOP_PREDICTIONS"], index=False)


if __name__ == "__main__":
    main()
