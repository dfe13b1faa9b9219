package main

// limitMemory does nothing: this system has no limit that holds.
func limitMemory(int64) error { return nil }
