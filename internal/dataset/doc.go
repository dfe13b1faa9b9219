// Package dataset turns landed files into the rows that train and judge a model: it reads them once (hash, parse,
// count), holds them to their contract, and says which rows train, validate and test.
//
// What a row means is fixed here and told in docs/data.md: snapshot, window, key, split, and which rows may judge
// a version. All of that is pure: data and time are arguments. Only Scan, Read and WriteCSV touch a stream, and
// only the one they are given. The package knows no store, no ledger and no clock, and must never guess: a cell that isn't
// what its contract declares is reported, not repaired.
package dataset
