package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/spec"
)

// schemaOptions are starter schema's.
type schemaOptions struct{ *app }

func newSchema(a *app, run func(context.Context, *schemaOptions) error) *cobra.Command {
	o := &schemaOptions{app: a}
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of model.yaml, for editors", Args: cobra.NoArgs,
		Example: "  starter schema > model.schema.json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
}

// runSchema prints the schema as it is, whatever -o says.
func runSchema(_ context.Context, o *schemaOptions) error {
	_, err := fmt.Fprintf(o.out, "%s", spec.Schema())
	return err
}
