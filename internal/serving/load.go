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

// loadVersion reads a version's verified files, from disk if they are there, and makes it ready to answer.
func (s *Server) loadVersion(ctx context.Context, from objectstore.Store, model string, ref versionRef) (*version, error) {
	read := func(refresh bool) (*version, error) {
		store := s.disk.over(from, refresh)
		files := map[string][]byte{}
		for name, limit := range map[string]int64{
			inference.SignatureFile: maxSignatureFile, inference.ModelFile: maxModelFile,
		} {
			data, err := registry.ReadArtifactFile(ctx, store, model, ref.Artifact, name, limit)
			if err != nil {
				return nil, err
			}
			files[name] = data
		}
		m, err := inference.Load(files, inference.DefaultLimits())
		if err != nil {
			return nil, err
		}
		return &version{number: ref.Number, artifact: ref.Artifact, model: m}, nil
	}
	v, err := read(false)
	var broken *registry.Broken
	if errors.As(err, &broken) { // on disk perhaps, and not in the bucket
		v, err = read(true)
	}
	if err == nil {
		err = v.warm()
	}
	if err != nil {
		return nil, fmt.Errorf("load %s version %d: %w", model, ref.Number, err)
	}
	return v, nil
}

// warm scores a row of missing values, which touches the whole model's first pages and finds one that panics before
// a request does. What it answers, or refuses, says nothing about real rows.
func (v *version) warm() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("scoring a row panicked: %v", p)
		}
	}()
	x := make([]float64, len(v.model.Signature.Inputs))
	for i := range x {
		x[i] = math.NaN()
	}
	_ = v.model.Scorer.Score(x, 1, make([]float64, v.model.Scorer.Outputs()))
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
