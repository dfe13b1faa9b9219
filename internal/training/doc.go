// Package training makes model versions: with the built-in trainers (linear models and gradient-boosted trees), or by
// running the model owner's own program under the trainer contract (docs/trainer-contract.md).
//
// It sees training and validation rows only; no caller may hand it test rows. The built-in trainers are functions of
// their input and seed: they read no clock and no global random source, and give the same bytes whatever the number
// of processors. RunCommand writes only below the folder that it is given, and leaves no process behind.
package training
