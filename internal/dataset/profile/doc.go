// Package profile sums up tables column by column, in one pass, in memory that depends on the number of columns and
// not on the number of rows. Profiles of shards merge to the profile of the whole: counts, distinct values, categories,
// sketches and bins to the bit, mean and standard deviation to 1e-12. docs/data.md defines every number.
//
// A profile is kept for as long as the data it describes, so what a number means never changes under one Version.
package profile
