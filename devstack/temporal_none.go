//go:build notemporal

package main

import (
	"context"
	"errors"
)

// startEmbedded has nothing to start: this program was built, faster, without
// the Temporal server, for machines that have one or its CLI.
func (s *stack) startEmbedded(context.Context) ([]component, error) {
	return nil, errors.New("this devstack was built without an embedded server: " +
		"name a running one (--temporal host:port), or put the Temporal CLI on the PATH")
}
