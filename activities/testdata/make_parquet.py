"""Writes flights.parquet: sixty flights as a data lake has them.

    python make_parquet.py        # pandas 3.1, pyarrow
"""

import pathlib

import numpy as np
import pandas as pd

r = np.random.default_rng(3)
delay = np.round(r.normal(0, 10, 60), 3)
pd.DataFrame({
    "id": [f"f{i}" for i in range(60)],
    "at": pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(60), unit="h"),
    "delay": delay,
    "carrier": pd.Categorical(r.choice(["AA", "UA", "DL"], 60)),
    "late": (delay > 5).astype("int64"),
}).to_parquet(pathlib.Path(__file__).parent / "flights.parquet", index=False)
