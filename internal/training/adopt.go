package training

import (
	"context"
	"errors"
	"fmt"

	"github.com/leanloop/leanloop/internal/inference"
)

// Adopt takes a version that was trained elsewhere by its files, signature.json among them: it is held to the data and
// tried on the validation rows as a program's model is. What is wrong with it is a *ModelError; a scorer whose server
// can't be reached is an error of its own kind, *inference.PassingError.
func Adopt(ctx context.Context, loader *inference.Loader, files map[string][]byte, in Input) (_ *Output, err error) {
	signature, err := inference.ParseSignature(files[inference.SignatureFile])
	if err != nil {
		return nil, &ModelError{err}
	}
	if signature.Format == inference.FormatCommand {
		return nil, &ModelError{fmt.Errorf("signature.json: observed format %s, whose program comes with training: want a format that is scored by itself", signature.Format)}
	}
	if err := holdToData(signature, in); err != nil {
		return nil, &ModelError{err}
	}
	model, err := loader.Load(ctx, files)
	if err != nil {
		return nil, adoptError(ctx, err)
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	out := &Output{Model: files[inference.ModelFileOf(signature.Format)], Signature: signature, Metrics: map[string]float64{}}
	if err := try(ctx, model, in, out); err != nil {
		return nil, adoptError(ctx, err)
	}
	return out, nil
}

func adoptError(ctx context.Context, err error) error {
	if _, passing := errors.AsType[*inference.PassingError](err); passing || ctx.Err() != nil {
		return err
	}
	return &ModelError{err}
}
