package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Evidence is everything that an approval is about. If any of it moves, the approval is void and people are asked
// again. All digests are sha256 in hex.
type Evidence struct {
	Model    string `json:"model"`
	Snapshot string `json:"snapshot"` // digest of the training snapshot
	Artifact string `json:"artifact"` // digest of the artifact's manifest
	Metrics  string `json:"metrics"`  // digest of the metrics
	Report   string `json:"report"`   // digest of the gate report
	Spec     string `json:"spec"`     // digest of the spec
	Champion int    `json:"champion"` // version that it was compared with; 0: none
	Epoch    int64  `json:"epoch"`    // of the ledger when it was compared
}

// Digest is the sha256 in hex of the evidence's JSON, whose field order is fixed by the type.
func (e Evidence) Digest() string {
	b, err := json.Marshal(e)
	if err != nil {
		// A struct of strings and integers always marshals; a digest of nothing would bind nothing.
		panic("approval: evidence doesn't marshal: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
