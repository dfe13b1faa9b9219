#!/usr/bin/env python3
"""Trains XGBoost: categories as they are, early stopping on the validation rows, a checkpoint every few rounds.

An attempt that was cut off is continued: the checkpoint holds the trees, and what early stopping has to remember. The
model goes to SM_MODEL_DIR as XGBoost's own JSON, with the rounds up to the best one, and gateways score it themselves.
"""

import argparse
import json
import os
import pathlib

import pandas as pd
import xgboost

TARGET = "late_15"
CATEGORIES = ["carrier"]


def arguments():
    parser = argparse.ArgumentParser(description="Trains XGBoost.")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--patience", type=int, default=20, help="rounds without a better AUC before it stops; 0: never")
    parser.add_argument("--eta", type=float, default=0.05)
    parser.add_argument("--max-depth", type=int, default=5)
    parser.add_argument("--every", type=int, default=10, help="rounds between two checkpoints")
    return parser.parse_known_args()[0]  # a newer leanloop may pass more than this program knows


def read_channel(name):
    files = sorted(pathlib.Path(os.environ[name]).glob("*.csv"))
    return pd.concat(pd.read_csv(f, keep_default_na=False, na_values=[""], dtype={c: str for c in CATEGORIES}) for f in files)


def with_categories(rows, known):
    """Codes each category by the training rows' values; one that they don't have is a missing value."""
    return rows.assign(**{c: pd.Categorical(rows[c], categories=values) for c, values in known.items()})


class Rounds(xgboost.callback.TrainingCallback):
    """What happens after each round. The best round is an attribute of the model, so that it is in its checkpoint."""

    def __init__(self, options):
        self.options = options
        folder = os.environ.get("LEANLOOP_CHECKPOINT_DIR")  # absent when the program is run by hand
        self.path = pathlib.Path(folder) / "state.ubj" if folder else None

    def after_iteration(self, model, epoch, evals_log):
        round, auc = model.num_boosted_rounds(), evals_log["validation"]["auc"][-1]
        if model.attr("best_auc") is None or auc > float(model.attr("best_auc")):
            model.set_attr(best_auc=repr(auc), best_round=str(round))
        metrics = {"auc": auc, "log_loss": evals_log["validation"]["logloss"][-1]}
        print(json.dumps({"round": round, "total": self.options.rounds, "metrics": metrics}), flush=True)
        if self.path and round % self.options.every == 0:
            written = self.path.with_name(".state.ubj")
            model.save_model(written)
            os.replace(written, self.path)  # so that it is never seen half written
        return self.stopped(model)

    def stopped(self, model):
        patience = self.options.patience
        return patience > 0 and model.num_boosted_rounds() - int(model.attr("best_round")) >= patience

    def load(self):
        """The trees of an earlier attempt; None without any."""
        if not self.path or not self.path.exists():
            return None
        try:
            model = xgboost.Booster(model_file=self.path)
        except xgboost.core.XGBoostError as error:
            print(f"starts anew: {self.path.name}: {error}")  # to fail would help nobody: every attempt finds the same
            return None
        print(f"goes on after round {model.num_boosted_rounds()}")
        return model


def show(booster, rows, features):
    """Prints rows as a request has them, and what this model says of them: what is served has to say the same."""
    plain = rows[features].astype(object).where(rows[features].notna(), None).to_dict("records")
    for row, score in zip(plain, booster.predict(xgboost.DMatrix(rows[features], enable_categorical=True))):
        print(json.dumps({"features": row, "score": float(score)}))


def main():
    options = arguments()
    train, validation = read_channel("SM_CHANNEL_TRAIN"), read_channel("SM_CHANNEL_VALIDATION")
    features = [c for c in train.columns if c != TARGET]
    known = {c: sorted(train[c].dropna().unique()) for c in CATEGORIES}
    train, validation = with_categories(train, known), with_categories(validation, known)
    print(f"{len(train)} rows to learn from, {len(validation)} to watch, XGBoost {xgboost.__version__}")

    rounds = Rounds(options)
    booster = rounds.load()
    done = booster.num_boosted_rounds() if booster else 0
    if not booster or not rounds.stopped(booster):
        booster = xgboost.train(
            {
                "objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "tree_method": "hist", "seed": 42,
                "eta": options.eta, "max_depth": options.max_depth, "nthread": int(os.environ.get("SM_NUM_CPUS", "1")),
            },
            xgboost.DMatrix(train[features], train[TARGET], enable_categorical=True),
            num_boost_round=max(0, options.rounds - done),
            evals=[(xgboost.DMatrix(validation[features], validation[TARGET], enable_categorical=True), "validation")],
            callbacks=[rounds], xgb_model=booster, verbose_eval=False,
        )
    best = booster[: int(booster.attr("best_round"))]  # all the trees in a file count
    print(f"round {booster.attr('best_round')} is the best of {booster.num_boosted_rounds()}")
    best.save_model(pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.json")
    show(best, validation.head(20), features)


if __name__ == "__main__":
    main()
