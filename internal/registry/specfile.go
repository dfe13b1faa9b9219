package registry

import (
	"context"
	"fmt"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// maxSpec bounds a stored spec in bytes.
const maxSpec = 1 << 20

// PutSpec stores a spec's bytes under their digest. The same spec again changes nothing.
func PutSpec(ctx context.Context, store objectstore.Store, model string, yaml []byte) (digest string, err error) {
	if err := CheckName("model", model); err != nil {
		return "", err
	}
	if len(yaml) > maxSpec {
		return "", fmt.Errorf("spec of %s: %d bytes > limit %d", model, len(yaml), maxSpec)
	}
	digest = hashOf(yaml)
	if err := createBytes(ctx, store, specKey(model, digest), yaml); err != nil {
		return "", fmt.Errorf("spec of %s: %w", model, err)
	}
	return digest, nil
}

// ReadSpec reads a stored spec and checks its digest.
func ReadSpec(ctx context.Context, store objectstore.Getter, model, digest string) ([]byte, error) {
	if err := CheckName("model", model); err != nil {
		return nil, err
	}
	if err := checkDigest("spec", digest); err != nil {
		return nil, err
	}
	raw, _, err := objectstore.ReadAll(ctx, store, specKey(model, digest), maxSpec)
	if err != nil {
		return nil, fmt.Errorf("spec of %s: %w", model, err)
	}
	if observed := hashOf(raw); observed != digest {
		return nil, &Broken{Object: specKey(model, digest), Problem: fmt.Sprintf("its digest is %s", observed)}
	}
	return raw, nil
}
