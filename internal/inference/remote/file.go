package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/inference"
)

// Bounds of a remote.json.
const (
	maxFileBytes = 1 << 20
	maxName      = 200 // bytes of a model's, version's or tensor's name
	defaultBatch = 256 // rows of one request
	maxBatch     = 10_000
)

// File is remote.json: which model of which server scores a version.
type File struct {
	URL     string `json:"url"`     // http or https, with the path in front of /v2 if there is one
	Model   string `json:"model"`   // its name there
	Version string `json:"version"` // of the model, as the server counts; "": the one that the server picks
	// Inputs are the model's tensors; none: as the server describes them.
	Inputs []Tensor `json:"inputs,omitempty"`
	Output string   `json:"output,omitempty"` // tensor with the scores; "": the only one that can be
	Batch  int      `json:"batch,omitempty"`  // rows of one request at most; 0: 256
}

// Tensor is an input or output of a model.
type Tensor struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"` // -1: any number, as of rows
}

// ParseFile reads a remote.json strictly. The error is an *inference.FormatError.
func ParseFile(raw []byte) (File, error) {
	f, err := parseFile(raw)
	if err != nil {
		return File{}, &inference.FormatError{File: inference.RemoteFile, Err: err}
	}
	return f, nil
}

func parseFile(raw []byte) (File, error) {
	var f File
	if len(raw) > maxFileBytes {
		return f, fmt.Errorf("size: observed %d > limit %d bytes", len(raw), maxFileBytes)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return f, errors.New("more data after the document's end")
	}
	if f.Batch == 0 {
		f.Batch = defaultBatch
	}
	return f, f.validate()
}

func (f File) validate() error {
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("url: observed %.200q, want http://host:port or https://host", f.URL)
	case u.User != nil:
		return errors.New("url: holds a user or password, which everyone who reads the artifact would see")
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("url: observed %.200q, want no query and no fragment", f.URL)
	case f.Batch < 1 || f.Batch > maxBatch:
		return fmt.Errorf("batch: observed %d, want 1 to %d", f.Batch, maxBatch)
	}
	for what, name := range map[string]string{"model": f.Model, "version": f.Version, "output": f.Output} {
		if name == "" && what == "model" || len(name) > maxName || name == "." || name == ".." {
			return fmt.Errorf("%s: observed %.80q, want a name of at most %d bytes", what, name, maxName)
		}
	}
	for i, t := range f.Inputs {
		if t.Name == "" || len(t.Name) > maxName || !slices.Contains(inputDatatypes(), t.Datatype) {
			return fmt.Errorf("inputs[%d]: observed name %.80q and datatype %.80q, want a name and one of %s", i, t.Name, t.Datatype, strings.Join(inputDatatypes(), ", "))
		}
	}
	return nil
}

// path is where the server has the model.
func (f File) path() string {
	p := strings.TrimSuffix(f.URL, "/") + "/v2/models/" + url.PathEscape(f.Model)
	if f.Version != "" {
		p += "/versions/" + url.PathEscape(f.Version)
	}
	return p
}

// inputDatatypes are the types of tensors that features can be sent as.
func inputDatatypes() []string {
	return []string{"FP64", "FP32", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8", "BOOL", "BYTES"}
}
