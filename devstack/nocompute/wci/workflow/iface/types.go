// Package iface has the types by which the Temporal server describes workers
// that it starts by itself. No value of them comes from here.
package iface

import (
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
)

type (
	// ComputeProviderType names where workers run.
	ComputeProviderType string
	// ScalingAlgorithmType names how their number is chosen.
	ScalingAlgorithmType string

	// ComputeProviderSpec is a provider and its settings.
	ComputeProviderSpec struct {
		ProviderType  ComputeProviderType `json:"provider_type,omitempty"`
		Config        *commonpb.Payload   `json:"config,omitempty"`
		NexusEndpoint string              `json:"nexus_endpoint,omitempty"`
	}

	// ScalingAlgorithmSpec is an algorithm and its settings.
	ScalingAlgorithmSpec struct {
		ScalingAlgorithm ScalingAlgorithmType `json:"scaling_algorithm,omitempty"`
		Config           *commonpb.Payload    `json:"config,omitempty"`
	}

	// ScalingGroupSpec is one group of workers.
	ScalingGroupSpec struct {
		TaskTypes []enumspb.TaskQueueType `json:"task_types"`
		Compute   ComputeProviderSpec     `json:"compute"`
		Scaling   *ScalingAlgorithmSpec   `json:"scaling,omitempty"`
	}

	// ScalingGroupSpecUpdate changes some fields of a group.
	ScalingGroupSpecUpdate struct {
		Spec       ScalingGroupSpec `json:"spec"`
		UpdateMask []string         `json:"update_mask"`
	}

	// WorkerControllerInstanceSpec is all groups of one deployment version.
	WorkerControllerInstanceSpec struct {
		ScalingGroupSpecs map[string]ScalingGroupSpec `json:"scaling_group_specs"`
	}

	// QueryDescribeWorkerControllerInstanceResponse describes a version's workers.
	QueryDescribeWorkerControllerInstanceResponse struct {
		Spec             *WorkerControllerInstanceSpec `json:"spec,omitempty"`
		ValidationStatus *ValidationStatus             `json:"validation_state,omitempty"`
	}

	// UpdateWorkerControllerInstanceResponse is a spec after its change.
	UpdateWorkerControllerInstanceResponse struct {
		Spec *WorkerControllerInstanceSpec `json:"spec,omitempty"`
	}

	// ValidationStatus is the outcome of checking a spec.
	ValidationStatus struct {
		Status             ValidationResult `json:"status"`
		ErrMessage         string           `json:"err_message,omitempty"`
		LastValidationTime time.Time        `json:"last_validation_time"`
	}
	// ValidationResult is a ValidationStatus's verdict.
	ValidationResult string
)

// ValidationResultFailed says that a spec was refused.
const ValidationResultFailed ValidationResult = "failed"
