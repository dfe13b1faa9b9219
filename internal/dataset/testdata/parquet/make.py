"""Writes the Parquet files of this folder, and what is in them as expected.json: per file and column the kind that is
inferred, and each value as the text that the reader is to show for it (null: no value).

    pip install pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0   # or near them: the files are committed
    python make.py
"""
import datetime as dt
import decimal
import json
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

expected = {}


def write(name, columns, expect, **options):
    pq.write_table(pa.table(columns), name, **options)
    expected[name] = expect


def utc(*at):
    return dt.datetime(*at, tzinfo=dt.timezone.utc)


D = decimal.Decimal
instants = [dt.datetime(2013, 1, 1, 5, 15), None, dt.datetime(1969, 12, 31, 23, 59, 59, 999000)]
instant_texts = ["2013-01-01T05:15:00Z", None, "1969-12-31T23:59:59.999Z"]

types = {
    "bool": (pa.array([True, None, False]), "boolean", ["true", None, "false"]),
    "i8": (pa.array([-128, None, 127], pa.int8()), "integer", ["-128", None, "127"]),
    "i16": (pa.array([-32768, None, 32767], pa.int16()), "integer", ["-32768", None, "32767"]),
    "i32": (pa.array([-(2**31), None, 2**31 - 1], pa.int32()), "integer", ["-2147483648", None, "2147483647"]),
    "i64": (pa.array([-(2**53), None, 2**53], pa.int64()), "integer", ["-9007199254740992", None, "9007199254740992"]),
    "u8": (pa.array([0, None, 255], pa.uint8()), "integer", ["0", None, "255"]),
    "u16": (pa.array([0, None, 65535], pa.uint16()), "integer", ["0", None, "65535"]),
    "u32": (pa.array([0, None, 2**32 - 1], pa.uint32()), "integer", ["0", None, "4294967295"]),
    "u64": (pa.array([0, None, 2**53], pa.uint64()), "integer", ["0", None, "9007199254740992"]),
    "long": (pa.array([2**53 + 1, None, -(2**63)], pa.int64()), "category", ["9007199254740993", None, "-9223372036854775808"]),
    "ulong": (pa.array([2**64 - 1, None, 0], pa.uint64()), "category", ["18446744073709551615", None, "0"]),
    "f16": (pa.array(np.array([1.5, 0.0, -65504.0], np.float16), mask=np.array([False, True, False])), "number", ["1.5", None, "-65504"]),
    "f32": (pa.array([0.1, None, -3.5], pa.float32()), "number", ["0.10000000149011612", None, "-3.5"]),
    "f64": (pa.array([0.1, None, -1e300]), "number", ["0.1", None, "-1e+300"]),
    "nan": (pa.array([float("nan"), 1.0, 2.0]), "number", [None, "1", "2"]),
    "text": (pa.array(["Zürich", None, ""]), "category", ["Zürich", None, None]),
    "large_text": (pa.array(["a", None, "NA"], pa.large_string()), "category", ["a", None, "NA"]),
    "dictionary": (pa.array(["x", None, "y"]).dictionary_encode(), "category", ["x", None, "y"]),
    "bytes": (pa.array([b"raw", None, b"text"]), "category", ["raw", None, "text"]),
    "date": (pa.array([dt.date(2013, 1, 1), None, dt.date(1969, 12, 31)]), "timestamp", ["2013-01-01T00:00:00Z", None, "1969-12-31T00:00:00Z"]),
    "ms": (pa.array(instants, pa.timestamp("ms")), "timestamp", instant_texts),
    "us": (pa.array(instants, pa.timestamp("us")), "timestamp", instant_texts),
    "ns": (pa.array(instants, pa.timestamp("ns")), "timestamp", instant_texts),
    "us_utc": (pa.array(instants, pa.timestamp("us", "UTC")), "timestamp", instant_texts),
    "ms_zone": (pa.array([utc(2013, 1, 1, 10, 15), None, utc(2013, 7, 1)], pa.timestamp("ms", "America/New_York")), "timestamp",
                ["2013-01-01T10:15:00Z", None, "2013-07-01T00:00:00Z"]),
    "dec9": (pa.array([D("12.30"), None, D("-0.01")], pa.decimal128(9, 2)), "number", ["12.3", None, "-0.01"]),
    "dec18": (pa.array([D("1234567890123.45678"), None, D("-1")], pa.decimal128(18, 5)), "number", ["1.2345678901234568e+12", None, "-1"]),
    "dec38": (pa.array([D("12345678901234567890.123456789"), None, D("-5e-9")], pa.decimal128(38, 9)), "number",
              ["1.2345678901234567e+19", None, "-5e-09"]),
    "uuid": (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=0x12345678_9abc_def0_1122_334455667788).bytes, None, bytes(16)], pa.binary(16))),
             "category", ["12345678-9abc-def0-1122-334455667788", None, "00000000-0000-0000-0000-000000000000"]),
    "nothing": (pa.nulls(3), "text", [None, None, None]),
}
everything = {name: array for name, (array, _, _) in types.items()}
texts = {name: {"kind": kind, "values": values} for name, (_, kind, values) in types.items()}
write("types.parquet", everything, texts, store_decimal_as_integer=True)
write("types_v1.parquet", everything, texts, version="2.6", use_dictionary=False, compression="none")
write("types_v2.parquet", everything, texts, data_page_version="2.0", compression="zstd", row_group_size=2, write_page_checksum=True)

# Timestamps as Spark and Impala wrote them for years.
write("int96.parquet", {"at": pa.array(instants, pa.timestamp("ns")), "n": pa.array([1, 2, 3])},
      {"at": {"kind": "timestamp", "values": instant_texts}, "n": {"kind": "integer", "values": ["1", "2", "3"]}},
      use_deprecated_int96_timestamps=True, flavor="spark")

# What a data frame becomes: an index of names, categories, nulls as NaN.
frame = pd.DataFrame({
    "delay": [1.5, float("nan"), -2.0], "carrier": pd.Categorical(["UA", "AA", "UA"]),
    "nights": pd.array([1, None, 3], dtype="Int64"), "late": [True, False, True],
    "when": pd.to_datetime(["2013-01-01 05:15", None, "2013-01-02 00:00"]),
}, index=["N1", "N2", "N3"])
frame.to_parquet("pandas.parquet")
expected["pandas.parquet"] = {
    "delay": {"kind": "number", "values": ["1.5", None, "-2"]},
    "carrier": {"kind": "category", "values": ["UA", "AA", "UA"]},
    "nights": {"kind": "integer", "values": ["1", None, "3"]},
    "late": {"kind": "boolean", "values": ["true", "false", "true"]},
    "when": {"kind": "timestamp", "values": ["2013-01-01T05:15:00Z", None, "2013-01-02T00:00:00Z"]},
    "__index_level_0__": {"kind": "category", "values": ["N1", "N2", "N3"]},
}

# Every encoding of the format, over more values than a miniblock has, with nulls between them.
n = 300
whole = [None if i % 7 == 3 else (i * i * 977 - 40_000_000) % 1_000_003 - 500_000 for i in range(n)]
names = [None if i % 11 == 5 else f"flight {i // 3:04d} to {'Zürich' if i % 2 else 'Oslo'}" for i in range(n)]
reals = [None if w is None else w / 8 for w in whole]
encoded = {
    "delta32": pa.array(whole, pa.int32()), "delta64": pa.array([None if w is None else w * 2**30 for w in whole], pa.int64()),
    "split32": pa.array(whole, pa.int32()), "split64": pa.array(reals, pa.float64()), "split_f": pa.array(reals, pa.float32()),
    "lengths": pa.array(names), "prefixes": pa.array(names), "bits": pa.array([None if w is None else w % 3 == 0 for w in whole]),
}


def texts_of(values):
    return [None if v is None else ("true" if v is True else "false" if v is False else v if isinstance(v, str) else repr(v).removesuffix(".0")) for v in values]


expect = {name: {"kind": {"s": "number", "d": "integer", "l": "text", "p": "text", "b": "boolean"}[name[0]], "values": texts_of(a.to_pylist())}
          for name, a in encoded.items()}
expect["split32"]["kind"] = "integer"
write("encodings.parquet", encoded, expect, use_dictionary=False, data_page_size=500, row_group_size=170, compression="none", column_encoding={
    "delta32": "DELTA_BINARY_PACKED", "delta64": "DELTA_BINARY_PACKED", "split32": "BYTE_STREAM_SPLIT", "split64": "BYTE_STREAM_SPLIT",
    "split_f": "BYTE_STREAM_SPLIT", "lengths": "DELTA_LENGTH_BYTE_ARRAY", "prefixes": "DELTA_BYTE_ARRAY", "bits": "RLE"})

few = {"name": pa.array(names[:100]), "n": pa.array(whole[:100])}
few_expect = {"name": {"kind": "category" if len(set(names[:100])) * 2 <= 100 else "text", "values": names[:100]}, "n": {"kind": "integer", "values": texts_of(whole[:100])}}
for codec in ["snappy", "gzip", "brotli", "zstd", "lz4"]:
    write(f"codec_{codec}.parquet", few, few_expect, compression=codec)

pl.DataFrame({"name": names[:100], "n": whole[:100]}).write_parquet("polars.parquet")
expected["polars.parquet"] = few_expect

# What isn't a table's.
write("nested.parquet", {
    "n": pa.array([1, 2]), "tags": pa.array([["a"], ["b", "c"]]), "place": pa.array([{"x": 1}, {"x": 2}]),
    "options": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())), "clock": pa.array([dt.time(5, 15), None]),
    "fixed": pa.array([b"abc", b"def"], pa.binary(3)), "label": pa.array(["x", "y"]),
}, {})

lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(columns, ensure_ascii=False)}" for name, columns in expected.items())
open("expected.json", "w").write("{" + lines + "}\n")
