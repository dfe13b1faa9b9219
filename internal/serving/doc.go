// Package serving is the gateway's core: it follows ledgers, keeps one immutable routing table, scores requests
// in-process and splits them between champion and challenger.
//
// It serves whatever happens to the rest: without the object store it serves what it served last (also after a
// restart, from its state folder), without the time series store it drops metrics and counts them. Past its lease, or
// without a ledger read for a minute, a challenger gets nothing. A request reads one routing table once, so it never
// sees half a change.
//
// The package must never write to a ledger, but for the rollback that an operator orders on the admin listener; never wait for a store inside a request, and never let a challenger's
// failure reach a client.
package serving
