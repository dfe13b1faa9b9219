"""A training script in the shape of SageMaker's script mode for scikit-learn.

Nothing here knows leanloop: the folders come as SM_ variables, the hyperparameters as arguments, the model goes to
SM_MODEL_DIR as a joblib file, and model_fn loads it where predictions are made.
"""

import argparse
import os

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor


def model_fn(model_dir):
    """The model that main left in a folder: what SageMaker's serving container calls."""
    return joblib.load(os.path.join(model_dir, "model.joblib"))


def parse_args():
    parser = argparse.ArgumentParser()
    # Hyperparameters, as the estimator is given them.
    parser.add_argument("--n-estimators", type=int, default=10)
    parser.add_argument("--min-samples-leaf", type=int, default=3)
    # Where things are.
    parser.add_argument("--model-dir", type=str, default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--train", type=str, default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--test", type=str, default=os.environ.get("SM_CHANNEL_TEST"))
    parser.add_argument("--train-file", type=str, default="train.csv")
    parser.add_argument("--test-file", type=str, default="test.csv")
    parser.add_argument("--features", type=str, required=True, help="columns, with spaces between them")
    parser.add_argument("--target", type=str, required=True)
    args, _ = parser.parse_known_args()
    return args


def main():
    args = parse_args()
    print("reading data")
    train = pd.read_csv(os.path.join(args.train, args.train_file))
    test = pd.read_csv(os.path.join(args.test, args.test_file))
    features = args.features.split()
    X_train, X_test = train[features], test[features]
    y_train, y_test = train[args.target], test[args.target]

    print("training model")
    model = RandomForestRegressor(
        n_estimators=args.n_estimators, min_samples_leaf=args.min_samples_leaf, random_state=0, n_jobs=-1
    )
    model.fit(X_train, y_train)

    print("validating model")
    error = np.abs(model.predict(X_test) - y_test)
    for quantile in (10, 50, 90):
        print(f"absolute error at {quantile}%: {np.percentile(error, quantile):.2f}")

    path = os.path.join(args.model_dir, "model.joblib")
    joblib.dump(model, path)
    print("model persisted at " + path)


if __name__ == "__main__":
    main()
