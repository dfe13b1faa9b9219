"""Writes cases.json: expectations, and what Great Expectations itself finds in table.csv.

    python make_cases.py        # great_expectations 1.24.1, pandas 3.1

table.csv is made here too. "types" are the types that a contract would give its columns.
"""

import json
import logging
import pathlib
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import great_expectations as gx  # noqa: E402
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: E402

HERE = pathlib.Path(__file__).parent
TYPES = {
    "id": "integer", "n": "number", "i": "integer", "cat": "category", "flag": "boolean", "at": "timestamp",
    "code": "text", "up": "integer", "down": "number", "a": "number", "b": "number", "same": "integer",
    "none": "number", "day": "text", "p": "category", "q": "category", "js": "text", "wide": "number",
}


def table():
    r = np.random.default_rng(7)
    n = 200
    df = pd.DataFrame({"id": np.arange(1, n + 1)})
    df["n"] = np.round(r.normal(50, 12, n), 3)
    df.loc[r.choice(n, 23, replace=False), "n"] = np.nan
    df["i"] = r.integers(0, 12, n)
    df["cat"] = r.choice(["red", "green", "blue", "grün"], n, p=[0.5, 0.3, 0.15, 0.05]).astype(object)
    df.loc[r.choice(n, 10, replace=False), "cat"] = None
    df["flag"] = r.random(n) < 0.3
    df["at"] = pd.Timestamp("2013-01-01") + pd.to_timedelta(r.integers(0, 400 * 86400, n), unit="s")
    df.loc[[5, 77], "at"] = pd.NaT
    df["code"] = [f"AB-{k:03d}" if k % 9 else f"x{k}" for k in r.permutation(n)]
    df["up"] = np.cumsum(r.integers(0, 3, n))
    df["down"] = 1000 - np.cumsum(r.random(n))
    df.loc[100, "down"] = 2000.5
    df["a"] = np.round(r.normal(0, 1, n), 2)
    df["b"] = np.round(df["a"] - r.random(n) + 0.2, 2)
    df.loc[r.choice(n, 9, replace=False), "a"] = np.nan
    df.loc[r.choice(n, 9, replace=False), "b"] = np.nan
    df.loc[[3, 4], ["a", "b"]] = np.nan
    df.loc[[10, 11, 12], "b"] = df.loc[[10, 11, 12], "a"]
    df["same"] = 7
    df["none"] = np.nan
    days = pd.date_range("2020-02-25", periods=n).strftime("%Y-%m-%d").to_numpy(dtype=object)
    days[[7, 8, 9]] = ["2020-02-30", "2020-2-3", "31.12.2020"]
    days[20] = None
    df["day"] = days
    df["p"] = r.choice(["x", "y", "z"], n).astype(object)
    df["q"] = r.choice(["x", "y", "z"], n).astype(object)
    df.loc[[1, 2], ["p", "q"]] = None
    df.loc[[30, 31], "q"] = None
    df["js"] = [['{"a": 1}', "[1, 2]", "3", "{a: 1}"][k % 4] for k in range(n)]
    df["wide"] = np.round(np.exp(r.normal(0, 4, n)), 6)
    return df


def expectations():
    out = []

    def add(kind, **kwargs):
        out.append({"type": kind, "kwargs": kwargs})

    for k in (200, 10):
        add("expect_table_row_count_to_equal", value=k)
    add("expect_table_row_count_to_be_between", min_value=100, max_value=200)
    add("expect_table_row_count_to_be_between", min_value=201)
    add("expect_table_row_count_to_be_between", max_value=200, strict_max=True)
    add("expect_table_column_count_to_equal", value=18)
    add("expect_table_column_count_to_equal", value=3)
    add("expect_table_column_count_to_be_between", min_value=2, max_value=20)
    add("expect_table_column_count_to_be_between", min_value=19)
    add("expect_table_columns_to_match_ordered_list", column_list=list(TYPES))
    add("expect_table_columns_to_match_ordered_list", column_list=list(TYPES)[:5] + ["other"])
    add("expect_table_columns_to_match_set", column_set=list(reversed(TYPES)))
    add("expect_table_columns_to_match_set", column_set=["id", "n"], exact_match=False)
    add("expect_table_columns_to_match_set", column_set=["id", "n"])
    add("expect_table_columns_to_match_set", column_set=["id", "m"], exact_match=False)
    add("expect_column_to_exist", column="n")
    add("expect_column_to_exist", column="nope")
    add("expect_column_to_exist", column="n", column_index=1)
    add("expect_column_to_exist", column="n", column_index=2)

    for column in TYPES:
        add("expect_column_values_to_not_be_null", column=column)
        add("expect_column_values_to_not_be_null", column=column, mostly=0.9)
        add("expect_column_values_to_be_null", column=column, mostly=0.05)
        add("expect_column_values_to_be_unique", column=column)
        add("expect_column_unique_value_count_to_be_between", column=column, min_value=1, max_value=15)
        add("expect_column_proportion_of_unique_values_to_be_between", column=column, min_value=0.5)
        add("expect_column_proportion_of_non_null_values_to_be_between", column=column, min_value=0.95, max_value=1, strict_max=True)
    add("expect_column_values_to_be_unique", column="up", mostly=0.4)

    for column in ("n", "i", "a", "same", "none", "wide", "down"):
        for low, high in ((0, 60), (None, 50), (40, None), (7, 7)):
            for strict in (False, True):
                add("expect_column_values_to_be_between", column=column, min_value=low, max_value=high, strict_min=strict, strict_max=strict)
            add("expect_column_values_to_be_between", column=column, min_value=low, max_value=high, mostly=0.75)
        for what in ("min", "max", "mean", "median", "stdev", "sum"):
            for low, high in ((-5, 60), (None, 50), (7, 7)):
                add(f"expect_column_{what}_to_be_between", column=column, min_value=low, max_value=high)
            add(f"expect_column_{what}_to_be_between", column=column, min_value=7, strict_min=True)
        for threshold in (1.5, 3):
            for double in (True, False):
                add("expect_column_value_z_scores_to_be_less_than", column=column, threshold=threshold, double_sided=double, mostly=0.95)
        for how in (False, "linear", "lower", "higher", "midpoint", "nearest"):
            add("expect_column_quantile_values_to_be_between", column=column, allow_relative_error=how,
                quantile_ranges={"quantiles": [0, 0.1, 0.333, 0.5, 0.9, 1], "value_ranges": [[None, 60], [0, 100], [None, None], [0, None], [1, 70], [7, 1e9]]})
    for low, high in (("2013-01-01T00:00:00", "2014-12-31T00:00:00"), ("2013-06-01T12:00:00", None), (None, "2013-12-01 00:00:00")):
        add("expect_column_values_to_be_between", column="at", min_value=low, max_value=high)
        add("expect_column_values_to_be_between", column="at", min_value=low, max_value=high, mostly=0.5)
        add("expect_column_min_to_be_between", column="at", min_value=low, max_value=high)
        add("expect_column_max_to_be_between", column="at", min_value=low, max_value=high)

    sets = {"cat": ["red", "green"], "i": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], "flag": [True, False], "same": [7, 8], "p": ["x", "y", "z"]}
    for column, values in sets.items():
        for extra in ([], ["nope"] if column in ("cat", "p") else [99]):
            for kind in ("values_to_be_in_set", "values_to_not_be_in_set", "distinct_values_to_be_in_set",
                         "distinct_values_to_contain_set", "distinct_values_to_equal_set", "most_common_value_to_be_in_set"):
                if column == "flag" and extra:
                    continue
                add(f"expect_column_{kind}", column=column, value_set=values + extra)
        add("expect_column_values_to_be_in_set", column=column, value_set=values[:1], mostly=0.4)
        add("expect_column_most_common_value_to_be_in_set", column=column, value_set=values[:1])
    add("expect_column_most_common_value_to_be_in_set", column="id", value_set=[3])
    add("expect_column_most_common_value_to_be_in_set", column="id", value_set=[3], ties_okay=True)

    for column, regex in (("code", "^AB-[0-9]{3}$"), ("code", "AB"), ("code", r"\d\d"), ("code", r"\w-\w"), ("cat", "e"), ("cat", "^gr"), ("cat", r"^\w+$"), ("i", "^1"), ("id", r"\d{3}")):
        add("expect_column_values_to_match_regex", column=column, regex=regex)
        add("expect_column_values_to_match_regex", column=column, regex=regex, mostly=0.8)
        add("expect_column_values_to_not_match_regex", column=column, regex=regex)
        add("expect_column_values_to_match_regex_list", column=column, regex_list=[regex, "x"])
        add("expect_column_values_to_match_regex_list", column=column, regex_list=[regex, "e"], match_on="all")
        add("expect_column_values_to_not_match_regex_list", column=column, regex_list=[regex, "b"])
    for column in ("code", "cat", "day", "id", "n"):
        add("expect_column_value_lengths_to_be_between", column=column, min_value=4, max_value=6)
        add("expect_column_value_lengths_to_be_between", column=column, min_value=4, strict_min=True, mostly=0.5)
        add("expect_column_value_lengths_to_equal", column=column, value=6)
        add("expect_column_value_lengths_to_equal", column=column, value=4, mostly=0.1)
    for column in ("up", "down", "n", "at", "id", "same"):
        for strictly in (False, True):
            add("expect_column_values_to_be_increasing", column=column, strictly=strictly)
            add("expect_column_values_to_be_decreasing", column=column, strictly=strictly, mostly=0.6)
    for fmt in ("%Y-%m-%d", "%d.%m.%Y", "%Y-%d-%m", "%Y%m%d"):
        add("expect_column_values_to_match_strftime_format", column="day", strftime_format=fmt)
        add("expect_column_values_to_match_strftime_format", column="day", strftime_format=fmt, mostly=0.95)
    add("expect_column_values_to_be_json_parseable", column="js")
    add("expect_column_values_to_be_json_parseable", column="js", mostly=0.7)

    for ignore in ("both_values_are_missing", "either_value_is_missing", "neither"):
        for pair in (("a", "b"), ("b", "a"), ("p", "q")):
            add("expect_column_pair_values_to_be_equal", column_A=pair[0], column_B=pair[1], ignore_row_if=ignore)
            if pair[0] != "p":
                for or_equal in (False, True):
                    add("expect_column_pair_values_a_to_be_greater_than_b", column_A=pair[0], column_B=pair[1], or_equal=or_equal,
                        ignore_row_if=ignore, mostly=0.6)
    for ignore in ("all_values_are_missing", "any_value_is_missing", "never"):
        for columns in (["p", "q"], ["a", "b"], ["i", "flag", "p"], ["id", "i"]):
            add("expect_compound_columns_to_be_unique", column_list=columns, ignore_row_if=ignore)
            if columns != ["i", "flag", "p"]:
                add("expect_select_column_values_to_be_unique_within_record", column_list=columns, ignore_row_if=ignore, mostly=0.5)
                add("expect_multicolumn_values_to_be_equal", column_list=columns, ignore_row_if=ignore, mostly=0.2)
        add("expect_multicolumn_sum_to_equal", column_list=["same", "i"], sum_total=12, ignore_row_if=ignore, mostly=0.05)
        add("expect_multicolumn_sum_to_equal", column_list=["a", "b"], sum_total=0, ignore_row_if=ignore)

    for condition in ('i > 5', 'cat == "red"', 'i >= 3 and flag == True', 'n < 50'):
        for kind, kwargs in (("expect_column_values_to_be_between", {"column": "n", "min_value": 40}), ("expect_column_values_to_be_unique", {"column": "up"}),
                             ("expect_column_mean_to_be_between", {"column": "n", "min_value": 50}), ("expect_table_row_count_to_be_between", {"min_value": 80}),
                             ("expect_column_values_to_not_be_null", {"column": "cat"}), ("expect_column_pair_values_to_be_equal", {"column_A": "a", "column_B": "b"}),
                             ("expect_column_values_to_be_increasing", {"column": "up"})):
            out.append({"type": kind, "kwargs": {**kwargs, "row_condition": condition, "condition_parser": "pandas"}})
    structured = [
        {"type": "comparison", "column": {"name": "i"}, "operator": ">", "parameter": 5},
        {"type": "comparison", "column": {"name": "cat"}, "operator": "!=", "parameter": "red"},
        {"type": "comparison", "column": {"name": "cat"}, "operator": "IN", "parameter": ["red", "blue"]},
        {"type": "nullity", "column": {"name": "n"}, "is_null": False},
        {"type": "or", "conditions": [{"type": "comparison", "column": {"name": "i"}, "operator": "<", "parameter": 2},
                                      {"type": "comparison", "column": {"name": "i"}, "operator": ">", "parameter": 9}]},
    ]
    for condition in structured:
        out.append({"type": "expect_column_values_to_be_between", "kwargs": {"column": "n", "min_value": 40, "row_condition": condition}})
    return out


def clean(v):
    if isinstance(v, dict):
        return {str(k): clean(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [clean(x) for x in v]
    if isinstance(v, (np.bool_, bool)):
        return bool(v)
    if isinstance(v, np.integer):
        return int(v)
    if isinstance(v, (float, np.floating)):
        return None if np.isnan(v) else float(v)
    if isinstance(v, (pd.Timestamp, np.datetime64)):
        return pd.Timestamp(v).isoformat() + "Z"
    if isinstance(v, str) and v == "NaT":
        return None
    if v is None or isinstance(v, (str, int)):
        return v
    return str(v)


def main():
    df = table()
    df.to_csv(HERE / "table.csv", index=False, date_format="%Y-%m-%dT%H:%M:%S")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (context.data_sources.add_pandas("p").add_dataframe_asset("t").add_batch_definition_whole_dataframe("b")
             .get_batch({"dataframe": df}))
    cases = []
    for e in expectations():
        e["kwargs"] = {k: v for k, v in e["kwargs"].items() if v is not None}
        r = batch.validate(ExpectationConfiguration(type=e["type"], kwargs=e["kwargs"]).to_domain_obj()).to_json_dict()
        info = r["exception_info"]
        raised = info.get("raised_exception", True)
        keep = ("element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent", "unexpected_percent_total",
                "unexpected_percent_nonmissing", "observed_value", "partial_unexpected_list", "partial_unexpected_index_list", "details")
        cases.append({**e, "success": bool(r["success"]), "raised": bool(raised), "result": {k: clean(v) for k, v in r["result"].items() if k in keep}})
        if raised:
            print("raised", e, str(info)[:300])
    (HERE / "cases.json").write_text(json.dumps({"great_expectations": gx.__version__, "types": TYPES, "cases": cases}, ensure_ascii=False).replace('{"type": "expect', '\n{"type": "expect') + "\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
