// Package remote scores rows by another server that speaks the Open Inference Protocol v2 over REST: Triton, MLServer,
// KServe, or another gateway of this project. It is the runtime of versions of format remote.
//
// A server is trusted with the rows and with nothing else: it is asked only where the operator allows its host, its
// redirects aren't followed, what it answers is bounded, never unpacked, and held to what the version's signature says.
package remote
