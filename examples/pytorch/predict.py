#!/usr/bin/env python3
"""Predicts a file of rows with what train.py left: model.pt. A version is judged by this program."""

import os
import pathlib

import torch

from train import Network, Probability, encode, read


def main():
    saved = torch.load(pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.pt", map_location="cpu")
    network = Network(saved["features"], saved["hidden"])
    network.load_state_dict(saved["network"])
    with torch.no_grad():
        scores = Probability(network.eval())(encode(read(os.environ["LEANLOOP_ROWS"]), saved["features"])).tolist()
    with open(os.environ["LEANLOOP_PREDICTIONS"], "w", encoding="utf-8") as out:
        out.write("prediction\n")
        out.writelines(f"{score}\n" for score in scores)


if __name__ == "__main__":
    main()
