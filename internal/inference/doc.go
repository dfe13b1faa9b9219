// Package inference scores rows in-process: it reads a version's signature.json and model.json, checks and encodes
// named features, and answers with probabilities, class probabilities or values.
//
// Two formats are read: XGBoost's JSON (boosters gbtree, dart and gblinear) and the linear format documented at LinearFile.
// A model file is treated as hostile: whatever it holds, reading it ends with a model or an error, within Limits.
//
// The package never opens a file, a socket or a clock, never trains, and never logs: everything is a function of the
// bytes and rows it is given. A loaded Model is immutable and safe for concurrent use.
package inference
