package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/leanloop/leanloop/internal/inference"
)

// mostRemoteBytes bounds a remote.json.
const mostRemoteBytes = 1 << 20

// isRemote says whether a trainer left a remote.json and no model: what it trained, a server has.
func isRemote(dir string) bool {
	_, model := os.Lstat(filepath.Join(dir, inference.ModelFile))
	_, remote := os.Lstat(filepath.Join(dir, inference.RemoteFile))
	return errors.Is(model, os.ErrNotExist) && remote == nil
}

// collectRemote asks the server that a trainer's remote.json names, ties the model there to its signature, and tries it on
// the validation rows. A server that can't be reached is no fault of the program's.
func collectRemote(ctx context.Context, loader *inference.Loader, dir string, in Input, schema Schema) (*Output, error) {
	raw, err := readRegular(filepath.Join(dir, inference.RemoteFile), mostRemoteBytes)
	if err != nil {
		return nil, &ModelError{err}
	}
	signature, err := signatureOf(inference.FormatRemote, dir, in, schema)
	if err != nil {
		return nil, &ModelError{err}
	}
	written, err := signature.Marshal()
	if err != nil {
		return nil, &ModelError{err}
	}
	out := &Output{Model: raw, Signature: signature, Metrics: map[string]float64{}}
	model, err := loader.Load(ctx, map[string][]byte{inference.SignatureFile: written, inference.RemoteFile: raw})
	if err == nil {
		err = errors.Join(try(ctx, model, in, out), model.Close())
	}
	switch {
	case err == nil:
		return out, nil
	case is[*inference.PassingError](err) || ctx.Err() != nil:
		return nil, fmt.Errorf("trainer's model: %w", err)
	}
	return nil, &ModelError{err}
}
