// Package parquet reads the flat columns of a Parquet file, batch by batch, in memory that the file can't choose.
//
// It knows the format (https://github.com/apache/parquet-format): footer, pages, compression, encodings. What a value
// means to a table is package dataset's to say. A file's own counts and sizes are claims: each is held against the
// bytes that are there and against Limits before anything is allocated for it. That is why it isn't a wrapper around
// parquet-go, which allocates lists by their declared length and pages by their declared size, so that a file of
// a few bytes can end the process; that library writes the files of this package's tests.
package parquet
