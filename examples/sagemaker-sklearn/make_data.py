#!/usr/bin/env python3
"""Writes data/flights.csv.gz: every tenth flight of January to March 2013, by a hash of its key, and the columns that
this example and ../go-regression need.

    python3 make_data.py

Source and licence: ../flight-delay/README.md.
"""

import csv
import gzip
import io
import pathlib
import zlib

HERE = pathlib.Path(__file__).parent
COLUMNS = [
    "flight_key", "scheduled_departure", "hour", "origin", "dest", "carrier", "temp", "wind_speed", "pressure",
    "scheduled_minutes", "dep_delay", "air_time",
]


def main():
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for month in (1, 2, 3):
        path = HERE.parent / "flight-delay" / "data" / f"flights-2013-{month:02d}.csv.gz"
        with gzip.open(path, "rt", encoding="utf-8", newline="") as rows:
            writer.writerows(row for row in csv.DictReader(rows) if zlib.crc32(row["flight_key"].encode()) % 10 == 0)
    (HERE / "data").mkdir(exist_ok=True)
    with open(HERE / "data" / "flights.csv.gz", "wb") as file:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed:
            packed.write(out.getvalue().encode())


if __name__ == "__main__":
    main()
