package serving

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// Limits of the files that a gateway reads.
const (
	maxModelFile     = 256 << 20
	maxSignatureFile = 32 << 20
)

// loadVersion reads a version's verified files, from disk if they are there, and makes it ready to answer. The
// caller lets go of it.
func (s *Server) loadVersion(ctx context.Context, from objectstore.Store, model string, ref versionRef) (*version, error) {
	read := func(refresh bool) (map[string][]byte, error) {
		store := s.disk.over(from, refresh)
		return inference.ReadFiles(func(name string) ([]byte, error) {
			limit := int64(maxModelFile)
			if name == inference.SignatureFile {
				limit = maxSignatureFile
			}
			return registry.ReadArtifactFile(ctx, store, model, ref.Artifact, name, limit)
		})
	}
	files, err := read(false)
	var broken *registry.Broken
	if errors.As(err, &broken) { // on disk perhaps, and not in the bucket
		files, err = read(true)
	}
	var m *inference.Model
	if err == nil {
		m, err = s.ports.Loader.Load(ctx, files)
	}
	if err != nil {
		return nil, fmt.Errorf("load %s version %d: %w", model, ref.Number, err)
	}
	v := &version{number: ref.Number, artifact: ref.Artifact, model: m}
	v.holds.count.Store(1) // the caller's
	if err := v.warm(ctx); err != nil {
		v.letGo(s.troubles)
		return nil, fmt.Errorf("load %s version %d: %w", model, ref.Number, err)
	}
	return v, nil
}

// warm scores a row of missing values, which touches the whole model's first pages and finds one that panics before
// a request does. What it answers, or refuses, says nothing about real rows.
func (v *version) warm(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("scoring a row panicked: %v", p)
		}
	}()
	x := make([]float64, len(v.model.Signature.Inputs))
	for i := range x {
		x[i] = math.NaN()
	}
	_ = v.model.Score(ctx, x, 1, make([]float64, v.model.Scorer.Outputs()))
	return nil
}

// loadSettings reads the applied spec by its digest.
func (s *Server) loadSettings(ctx context.Context, from objectstore.Store, model, digest string) (settings, error) {
	if digest == "" {
		return settings{}, nil
	}
	read := func(refresh bool) ([]byte, error) {
		return registry.ReadSpec(ctx, s.disk.over(from, refresh), model, digest)
	}
	data, err := read(false)
	var broken *registry.Broken
	if errors.As(err, &broken) {
		data, err = read(true)
	}
	if err != nil {
		return settings{}, fmt.Errorf("applied spec: %w", err)
	}
	m, err := spec.Parse("spec "+digest, data)
	if err != nil {
		return settings{}, fmt.Errorf("applied spec: %w", err)
	}
	return settingsOf(m), nil
}
