package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Register registers every workflow under its name in contract.go.
func Register(r worker.WorkflowRegistry) {
	for name, w := range map[string]any{
		TypeModel: Model, TypeLifecycle: Lifecycle, TypeCanary: Canary, TypeSearch: Search,
		TypeDrift: Drift, TypeQuality: Quality, TypeRetrainCheck: RetrainCheck,
		TypeTargetCheck: TargetCheck,
	} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
}
