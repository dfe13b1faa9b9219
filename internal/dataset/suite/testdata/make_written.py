"""Writes written.json: a suite as Great Expectations 1.24.1 itself writes it to its file store.

    python make_written.py
"""

import json
import pathlib
import tempfile
import warnings

warnings.filterwarnings("ignore")
import great_expectations as gx  # noqa: E402
import great_expectations.expectations as gxe  # noqa: E402
from great_expectations.expectations.row_conditions import Column  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    context = gx.get_context(mode="file", project_root_dir=folder)
    suite = context.suites.add(gx.ExpectationSuite(name="flights"))
    for e in (
        gxe.ExpectColumnValuesToBeBetween(column="delay", min_value=-60, max_value=1500, mostly=0.99, severity="warning", notes="late planes", meta={"owner": "ana"}),
        gxe.ExpectColumnValuesToNotBeNull(column="carrier"),
        gxe.ExpectColumnDistinctValuesToBeInSet(column="carrier", value_set=["AA", "UA"], severity="info"),
        gxe.ExpectColumnQuantileValuesToBeBetween(column="delay", quantile_ranges={"quantiles": [0.1, 0.9], "value_ranges": [[None, 0], [10, None]]}),
        gxe.ExpectColumnMeanToBeBetween(column="delay", min_value=0, strict_min=True),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["carrier", "flight", "day"], ignore_row_if="never"),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="arrival", column_B="departure", or_equal=True),
        gxe.ExpectTableRowCountToBeBetween(min_value=1, max_value=None),
        gxe.ExpectTableColumnsToMatchSet(column_set={"a", "b"}, exact_match=False),
        gxe.ExpectColumnValuesToMatchRegexList(column="flight", regex_list=["^[0-9]+$"], match_on="all"),
        gxe.ExpectColumnValuesToBeUnique(column="id", row_condition=(Column("carrier") == "AA") & (Column("delay") > 5)),
        gxe.ExpectColumnValuesToBeInTypeList(column="delay", type_list=["int64", "float64"]),
    ):
        suite.add_expectation(e)
    suite.save()
    written = next(pathlib.Path(folder).rglob("expectations/flights.json"))
    (pathlib.Path(__file__).parent / "written.json").write_text(json.dumps(json.loads(written.read_text()), indent=2) + "\n")
