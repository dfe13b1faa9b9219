package suite

import (
	"slices"
	"strings"
)

// Family is what a kind of expectation judges.
type Family uint8

// The families.
const (
	Table     Family = iota // the table as a whole
	Rows                    // each value of a column; takes mostly
	Aggregate               // one number or set made of a column
	Pairs                   // each row's values of two columns; takes mostly
	Records                 // each row's values of several columns; takes mostly
)

// takes says of which types a kind's columns may be.
type takes uint8

const (
	anyType takes = iota
	numbers       // number, integer, boolean
	ordered       // numbers and timestamps
	texts         // category, text
	written       // all but timestamps, of which what was written isn't kept
)

// types are the contract's names of the types.
func (t takes) types() []string {
	switch t {
	case numbers:
		return []string{"number", "integer", "boolean"}
	case ordered:
		return []string{"number", "integer", "boolean", "timestamp"}
	case texts:
		return []string{"category", "text"}
	case written:
		return []string{"category", "text", "number", "integer", "boolean"}
	}
	return nil
}

// kind is what is known of a kind of expectation.
type kind struct {
	family Family
	takes  takes
	needs  []string // arguments that must be there
	may    []string // and those that may
}

// arguments are all that the kind takes.
func (k kind) arguments() []string {
	all := slices.Concat(k.needs, k.may)
	switch k.family {
	case Rows, Pairs, Records:
		all = append(all, "mostly", "row_condition", "condition_parser")
	case Aggregate:
		all = append(all, "row_condition", "condition_parser")
	}
	switch k.family {
	case Pairs, Records:
		all = append(all, "ignore_row_if")
	}
	return all
}

// words splits a line of names.
func words(line string) []string { return strings.Fields(line) }

const bounds = "min_value max_value strict_min strict_max"

// kinds are the kinds that can be held. A kind is added here, and in package expect.
func kinds() map[string]kind {
	aggregate := func(t takes, needs, may string) kind {
		return kind{Aggregate, t, words("column " + needs), words(may)}
	}
	rows := func(t takes, needs, may string) kind { return kind{Rows, t, words("column " + needs), words(may)} }
	condition := " row_condition condition_parser"
	return map[string]kind{
		"expect_table_row_count_to_equal":               {Table, anyType, words("value"), words(condition)},
		"expect_table_row_count_to_be_between":          {Table, anyType, nil, words(bounds + condition)},
		"expect_table_column_count_to_equal":            {Table, anyType, words("value"), nil},
		"expect_table_column_count_to_be_between":       {Table, anyType, nil, words("min_value max_value")},
		"expect_table_columns_to_match_ordered_list":    {Table, anyType, words("column_list"), nil},
		"expect_table_columns_to_match_set":             {Table, anyType, words("column_set"), words("exact_match")},
		"expect_column_to_exist":                        {Table, anyType, words("column"), words("column_index")},
		"expect_column_type_to_be":                      {Table, anyType, words("column type_"), nil},
		"expect_column_values_to_be_of_type":            {Table, anyType, words("column type_"), words("mostly")},
		"expect_column_values_to_be_in_type_list":       {Table, anyType, words("column type_list"), words("mostly")},
		"expect_column_values_to_not_be_null":           rows(anyType, "", ""),
		"expect_column_values_to_be_null":               rows(anyType, "", ""),
		"expect_column_values_to_be_between":            rows(ordered, "", bounds),
		"expect_column_values_to_be_in_set":             rows(anyType, "value_set", ""),
		"expect_column_values_to_not_be_in_set":         rows(anyType, "value_set", ""),
		"expect_column_values_to_be_unique":             rows(anyType, "", ""),
		"expect_column_values_to_match_regex":           rows(written, "regex", ""),
		"expect_column_values_to_not_match_regex":       rows(written, "regex", ""),
		"expect_column_values_to_match_regex_list":      rows(written, "regex_list", "match_on"),
		"expect_column_values_to_not_match_regex_list":  rows(written, "regex_list", ""),
		"expect_column_value_lengths_to_be_between":     rows(written, "", bounds),
		"expect_column_value_lengths_to_equal":          rows(written, "value", ""),
		"expect_column_values_to_be_increasing":         rows(ordered, "", "strictly"),
		"expect_column_values_to_be_decreasing":         rows(ordered, "", "strictly"),
		"expect_column_values_to_match_strftime_format": rows(texts, "strftime_format", ""),
		"expect_column_values_to_be_json_parseable":     rows(texts, "", ""),
		"expect_column_value_z_scores_to_be_less_than":  rows(numbers, "threshold double_sided", ""),

		"expect_column_min_to_be_between":                           aggregate(ordered, "", bounds),
		"expect_column_max_to_be_between":                           aggregate(ordered, "", bounds),
		"expect_column_mean_to_be_between":                          aggregate(numbers, "", bounds),
		"expect_column_median_to_be_between":                        aggregate(numbers, "", bounds),
		"expect_column_stdev_to_be_between":                         aggregate(numbers, "", bounds),
		"expect_column_sum_to_be_between":                           aggregate(numbers, "", bounds),
		"expect_column_quantile_values_to_be_between":               aggregate(numbers, "quantile_ranges", "allow_relative_error"),
		"expect_column_unique_value_count_to_be_between":            aggregate(anyType, "", bounds),
		"expect_column_proportion_of_unique_values_to_be_between":   aggregate(anyType, "", bounds),
		"expect_column_proportion_of_non_null_values_to_be_between": aggregate(anyType, "", bounds),
		"expect_column_distinct_values_to_be_in_set":                aggregate(anyType, "value_set", ""),
		"expect_column_distinct_values_to_contain_set":              aggregate(anyType, "value_set", ""),
		"expect_column_distinct_values_to_equal_set":                aggregate(anyType, "value_set", ""),
		"expect_column_most_common_value_to_be_in_set":              aggregate(anyType, "value_set", "ties_okay"),

		"expect_column_pair_values_to_be_equal":            {Pairs, anyType, words("column_A column_B"), nil},
		"expect_column_pair_values_a_to_be_greater_than_b": {Pairs, ordered, words("column_A column_B"), words("or_equal")},

		"expect_compound_columns_to_be_unique":                   {Records, anyType, words("column_list"), nil},
		"expect_select_column_values_to_be_unique_within_record": {Records, anyType, words("column_list"), nil},
		"expect_multicolumn_values_to_be_unique":                 {Records, anyType, words("column_list"), nil},
		"expect_multicolumn_values_to_be_equal":                  {Records, anyType, words("column_list"), nil},
		"expect_multicolumn_sum_to_equal":                        {Records, numbers, words("column_list sum_total"), nil},
	}
}

// Kinds lists the kinds that can be held, in alphabetical order.
func Kinds() []string {
	var names []string
	for name := range kinds() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// refusals are kinds of Great Expectations that can't be held, and why.
func refusals() map[string]string {
	const database = "it needs a database to ask"
	const statistic = "drift of a distribution is judged by monitor.drift, against the rows that the champion was trained on"
	const like = "LIKE patterns are a database's; write a regular expression: expect_column_values_to_match_regex"
	return map[string]string{
		"expect_column_values_to_be_dateutil_parseable":                               "what dateutil takes for a date has no definition to hold values to; use expect_column_values_to_match_strftime_format, or the type timestamp",
		"expect_column_values_to_match_json_schema":                                   "schemas of cells aren't read",
		"expect_column_values_to_not_be_outliers":                                     "use expect_column_value_z_scores_to_be_less_than, or bounds",
		"expect_column_pair_values_to_be_in_set":                                      "pairs of values aren't read",
		"expect_column_pair_cramers_phi_value_to_be_less_than":                        statistic,
		"expect_column_kl_divergence_to_be_less_than":                                 statistic,
		"expect_column_bootstrapped_ks_test_p_value_to_be_greater_than":               statistic,
		"expect_column_chisquare_test_p_value_to_be_greater_than":                     statistic,
		"expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than": statistic,
		"expect_column_values_to_match_like_pattern":                                  like,
		"expect_column_values_to_match_like_pattern_list":                             like,
		"expect_column_values_to_not_match_like_pattern":                              like,
		"expect_column_values_to_not_match_like_pattern_list":                         like,
		"expect_table_row_count_to_equal_other_table":                                 database,
		"expect_query_results_to_match_comparison":                                    database,
		"unexpected_rows_expectation":                                                 database,
	}
}
