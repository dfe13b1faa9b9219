// Stands in for the module of this name when devstack is built. The original
// lets a Temporal server start and scale workers on AWS, Google Cloud and
// Kubernetes, which a development server on one machine never does, and whose
// clients are a fifth of the whole compile time. Here is the part that the
// server's own code refers to.
module go.temporal.io/auto-scaled-workers

go 1.26.4

require (
	go.temporal.io/api v1.63.5
	go.temporal.io/server v1.32.1
	go.uber.org/fx v1.24.0
)
