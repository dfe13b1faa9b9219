package report

import (
	"strings"

	"github.com/leanloop/leanloop/internal/dataset"
)

// ruleName is a rule in words; "" for one that has no other name than its own.
func ruleName(rule string) string {
	switch rule {
	case dataset.RuleEmpty:
		return "The file holds rows"
	case dataset.RuleHeader:
		return "Header"
	case dataset.RuleFields:
		return "As many cells as the header"
	case dataset.RuleQuotes:
		return "Quotes"
	case dataset.RuleEncoding:
		return "Text is UTF-8"
	case dataset.RuleTruncated:
		return "The file is whole"
	case dataset.RuleLimit:
		return "Limits of size"
	case dataset.RuleMissing:
		return "The column is there"
	case dataset.RuleUnexpected:
		return "No other columns"
	case dataset.RuleType:
		return "Type"
	case dataset.RuleNull:
		return "No missing values"
	case dataset.RuleMin:
		return "Least value"
	case dataset.RuleMax:
		return "Greatest value"
	case dataset.RuleValues:
		return "Allowed values"
	case dataset.RulePattern:
		return "Pattern"
	case dataset.RuleUnique:
		return "Each value once"
	case dataset.RuleRepeatedID:
		return "Each id once"
	case dataset.RuleRows:
		return "Number of rows"
	case dataset.RuleFreshness:
		return "Freshness"
	case dataset.RuleContract:
		return "The contract can be held"
	case dataset.RuleColumn, dataset.RuleNoRows, dataset.RuleOneClass, dataset.RuleSplit:
		return "A model can be trained"
	}
	if isExpectation(rule) {
		return "Expectation"
	}
	return ""
}

// isExpectation reports whether a rule is one of a suite of Great Expectations.
func isExpectation(rule string) bool { return strings.HasPrefix(rule, "expect_") }

// expectationName is an expectation's kind in words.
func expectationName(kind string) string {
	return strings.ReplaceAll(strings.TrimPrefix(kind, "expect_"), "_", " ")
}

// hint is what to do about a broken rule.
func hint(rule string) string {
	switch rule {
	case dataset.RuleMissing:
		return "A column is missing: was it renamed, or left out of the export? If it is gone for good, mark it optional in the contract."
	case dataset.RuleUnexpected:
		return "A column isn't in the contract: add it there, leave it out of the file, or make the contract open (strict: false)."
	case dataset.RuleType:
		return "Values aren't of their declared type: look at the first rows named; often it is a unit, a word for a missing value, or a decimal comma."
	case dataset.RuleNull:
		return "Values are missing where none may be: ask the source for them, or allow nulls in the contract if a model can live with them."
	case dataset.RuleMin, dataset.RuleMax, dataset.RuleValues, dataset.RulePattern:
		return "Values are outside of what was agreed: repair them at the source, or widen the contract if they are right."
	case dataset.RuleUnique, dataset.RuleRepeatedID:
		return "Rows repeat a value that should be there once: was the file put together from overlapping exports?"
	case dataset.RuleRows, dataset.RuleEmpty, dataset.RuleTruncated:
		return "The number of rows isn't what was agreed: was the export cut short, or run twice?"
	case dataset.RuleFreshness:
		return "The newest event is too old: the source may have stopped, or sent an old file."
	case dataset.RuleHeader, dataset.RuleFields, dataset.RuleQuotes, dataset.RuleEncoding, dataset.RuleLimit:
		return "The file isn't written as a table should be: look at the line that is named, and export it again."
	case dataset.RuleContract:
		return "The contract itself can't be held: correct it; no file can pass."
	case dataset.RuleColumn, dataset.RuleNoRows, dataset.RuleOneClass, dataset.RuleSplit:
		return "The file keeps its contract, and no model can be trained on it as the spec asks: compare the two."
	}
	if isExpectation(rule) {
		return "An expectation of the suite isn't met: repair the values at the source, or change the suite if they are right."
	}
	return "Repair the rows that are named, at the source."
}
