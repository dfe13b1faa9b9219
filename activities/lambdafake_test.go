package activities

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// lambdaFake is one function of Lambda's API as its reference documents it (docs.aws.amazon.com/lambda/latest/api): paths,
// statuses, preconditions, and signatures that are checked with AWS's own signer.
type lambdaFake struct {
	t        *testing.T
	function string
	url      string

	mu       sync.Mutex
	revision int
	code     []byte
	updating int // reads of the configuration until the update is done
	versions []lambdaVersion
	alias    *lambdaAlias
	refuse   func(method, path string) (status int, kind string) // 0: not this one
	calls    []string
}

type lambdaVersion struct{ Version, Description, CodeSha256 string }

type lambdaAlias struct {
	Name, FunctionVersion, Description, RevisionId string
	RoutingConfig                                  struct{ AdditionalVersionWeights map[string]float64 }
}

const (
	lambdaKey    = "AKIDEXAMPLE"
	lambdaSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	lambdaRegion = "eu-central-1"
)

func newLambda(t *testing.T, function string) *lambdaFake {
	t.Helper()
	l := &lambdaFake{t: t, function: function, revision: 1, code: []byte("as created")}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// lambdaError is an answer that isn't a success.
type lambdaError struct {
	status int
	kind   string
	text   string
}

func (l *lambdaFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 70<<20))
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	path := r.URL.EscapedPath()
	l.calls = append(l.calls, r.Method+" "+r.URL.RequestURI())
	status, out, failure := l.answer(r, path, body)
	w.Header().Set("Content-Type", "application/json")
	if failure != nil {
		w.Header().Set("x-amzn-ErrorType", failure.kind)
		w.WriteHeader(failure.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"Type": "User", "message": failure.text})
		return
	}
	w.WriteHeader(status)
	if out != nil {
		_ = json.NewEncoder(w).Encode(out)
	}
}

func (l *lambdaFake) answer(r *http.Request, path string, body []byte) (int, any, *lambdaError) {
	if problem := badSignature(r, body); problem != "" {
		return 0, nil, &lambdaError{403, "InvalidSignatureException", problem}
	}
	if l.refuse != nil {
		if status, kind := l.refuse(r.Method, path); status != 0 {
			return 0, nil, &lambdaError{status, kind, "asked to"}
		}
	}
	rest, ok := strings.CutPrefix(path, "/2015-03-31/functions/"+l.function)
	if !ok || rest != "" && rest[0] != '/' {
		return 0, nil, &lambdaError{404, "ResourceNotFoundException", "Function not found: " + path}
	}
	var in struct {
		ZipFile, RevisionId, CodeSha256, Description, Name, FunctionVersion string
		RoutingConfig                                                       *struct{ AdditionalVersionWeights map[string]float64 }
	}
	if len(body) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return 0, nil, &lambdaError{400, "InvalidRequestContentException", err.Error()}
		}
	}
	switch name, inAliases := strings.CutPrefix(rest, "/aliases"); {
	case r.Method == "GET" && rest == "/configuration":
		return 200, l.configuration(), nil
	case r.Method == "PUT" && rest == "/code":
		return l.updateCode(in.ZipFile, in.RevisionId)
	case r.Method == "POST" && rest == "/versions":
		return l.publish(in.CodeSha256, in.Description)
	case r.Method == "GET" && rest == "/versions":
		return l.list(r)
	case r.Method == "DELETE" && rest == "":
		return l.remove(r.URL.Query().Get("Qualifier"))
	case r.Method == "GET" && name == "/live":
		if l.alias == nil {
			return 0, nil, &lambdaError{404, "ResourceNotFoundException", "Cannot find alias"}
		}
		return 200, l.alias, nil
	case r.Method == "POST" && inAliases && name == "":
		if in.Name != "live" || l.alias != nil {
			return 0, nil, &lambdaError{409, "ResourceConflictException", "Alias already exists"}
		}
		l.alias = &lambdaAlias{Name: "live"}
		return l.route(201, in.FunctionVersion, in.Description, in.RoutingConfig)
	case r.Method == "PUT" && name == "/live" && l.alias != nil:
		if in.RevisionId != "" && in.RevisionId != l.alias.RevisionId {
			return 0, nil, &lambdaError{412, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id."}
		}
		return l.route(200, in.FunctionVersion, in.Description, in.RoutingConfig)
	}
	return 0, nil, &lambdaError{404, "ResourceNotFoundException", r.Method + " " + rest}
}

// badSignature compares with what AWS's own signer makes of the request.
func badSignature(r *http.Request, body []byte) string {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 5*time.Minute {
		return "Signature expired: " + r.Header.Get("X-Amz-Date")
	}
	names := regexp.MustCompile(`SignedHeaders=([a-z0-9;-]+)`).FindStringSubmatch(r.Header.Get("Authorization"))
	if names == nil || !slices.Contains(strings.Split(names[1], ";"), "host") {
		return "no signed headers"
	}
	again, err := http.NewRequestWithContext(context.Background(), r.Method, "http://"+r.Host+r.URL.RequestURI(), nil)
	if err != nil {
		return err.Error()
	}
	for _, name := range strings.Split(names[1], ";") {
		if name != "host" && name != "x-amz-date" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: lambdaKey, SecretAccessKey: lambdaSecret}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, again, hex.EncodeToString(sum[:]), "lambda", lambdaRegion, at); err != nil {
		return err.Error()
	}
	if want := again.Header.Get("Authorization"); want != r.Header.Get("Authorization") {
		return fmt.Sprintf("The request signature we calculated does not match: %s, want %s", r.Header.Get("Authorization"), want)
	}
	return ""
}

func sha256Base64(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (l *lambdaFake) configuration() map[string]string {
	out := map[string]string{"FunctionName": l.function, "State": "Active", "LastUpdateStatus": "Successful", "CodeSha256": sha256Base64(l.code),
		"RevisionId": fmt.Sprint("f", l.revision), "Version": "$LATEST"}
	if l.updating > 0 {
		l.updating--
		out["LastUpdateStatus"] = "InProgress"
	}
	return out
}

func (l *lambdaFake) updateCode(zipped, revision string) (int, any, *lambdaError) {
	raw, err := base64.StdEncoding.DecodeString(zipped)
	if err == nil {
		_, err = zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	}
	switch {
	case err != nil:
		return 0, nil, &lambdaError{400, "InvalidParameterValueException", "Could not unzip uploaded file"}
	case revision != "" && revision != fmt.Sprint("f", l.revision):
		return 0, nil, &lambdaError{412, "PreconditionFailedException", "Revision Id"}
	case l.updating > 0:
		return 0, nil, &lambdaError{409, "ResourceConflictException", "An update is in progress"}
	}
	l.code, l.revision = raw, l.revision+1
	out := l.configuration()
	l.updating = 1
	return 200, out, nil
}

// publish makes a version of the code as it is; where that was published last, it is that one again.
func (l *lambdaFake) publish(code, description string) (int, any, *lambdaError) {
	switch {
	case l.updating > 0:
		return 0, nil, &lambdaError{409, "ResourceConflictException", "The operation cannot be performed at this time. An update is in progress"}
	case code != "" && code != sha256Base64(l.code):
		return 0, nil, &lambdaError{400, "InvalidParameterValueException", "CodeSHA256 is different from current CodeSHA256 in $LATEST"}
	}
	if n := len(l.versions); n == 0 || l.versions[n-1].CodeSha256 != sha256Base64(l.code) {
		number := 16 // a function that had versions of others before
		if n > 0 {
			number, _ = strconv.Atoi(l.versions[n-1].Version)
			number++
		}
		l.versions = append(l.versions, lambdaVersion{Version: strconv.Itoa(number), Description: description, CodeSha256: sha256Base64(l.code)})
	}
	return 201, l.versions[len(l.versions)-1], nil
}

// list gives pages of two, $LATEST first.
func (l *lambdaFake) list(r *http.Request) (int, any, *lambdaError) {
	all := append([]lambdaVersion{{Version: "$LATEST", CodeSha256: sha256Base64(l.code)}}, l.versions...)
	from := 0
	if marker := r.URL.Query().Get("Marker"); marker != "" {
		var err error
		if from, err = strconv.Atoi(strings.TrimPrefix(marker, "page+/")); err != nil {
			return 0, nil, &lambdaError{400, "InvalidParameterValueException", "Marker"}
		}
	}
	out := map[string]any{"Versions": all[from:min(from+2, len(all))]}
	if from+2 < len(all) {
		out["NextMarker"] = fmt.Sprint("page+/", from+2)
	}
	return 200, out, nil
}

func (l *lambdaFake) has(version string) bool {
	return slices.ContainsFunc(l.versions, func(v lambdaVersion) bool { return v.Version == version })
}

func (l *lambdaFake) route(status int, version, description string, routing *struct{ AdditionalVersionWeights map[string]float64 }) (int, any, *lambdaError) {
	bad := func(text string) (int, any, *lambdaError) {
		return 0, nil, &lambdaError{400, "InvalidParameterValueException", text}
	}
	if !l.has(version) {
		return 0, nil, &lambdaError{404, "ResourceNotFoundException", "Function not found: " + version}
	}
	if routing != nil {
		if len(routing.AdditionalVersionWeights) > 1 {
			return bad("The number of additional versions is over 1")
		}
		for v, weight := range routing.AdditionalVersionWeights {
			if !l.has(v) || v == version || weight < 0 || weight > 1 {
				return bad(fmt.Sprintf("weight %v of version %s beside %s", weight, v, version))
			}
		}
		l.alias.RoutingConfig.AdditionalVersionWeights = maps.Clone(routing.AdditionalVersionWeights)
	}
	l.revision++
	l.alias.FunctionVersion, l.alias.Description, l.alias.RevisionId = version, description, fmt.Sprint("a", l.revision)
	return status, l.alias, nil
}

func (l *lambdaFake) remove(qualifier string) (int, any, *lambdaError) {
	switch _, routed := l.shares()[qualifier]; {
	case qualifier == "" || qualifier == "$LATEST":
		return 0, nil, &lambdaError{400, "InvalidParameterValueException", "the function itself"}
	case routed:
		return 0, nil, &lambdaError{409, "ResourceConflictException", "The version is referenced by alias live"}
	}
	l.versions = slices.DeleteFunc(l.versions, func(v lambdaVersion) bool { return v.Version == qualifier })
	return 204, nil, nil
}

// shares is what each of Lambda's versions gets.
func (l *lambdaFake) shares() map[string]float64 {
	if l.alias == nil {
		return nil
	}
	out, rest := map[string]float64{}, 1.0
	for v, weight := range l.alias.RoutingConfig.AdditionalVersionWeights {
		out[v], rest = weight, rest-weight
	}
	out[l.alias.FunctionVersion] = rest
	return out
}

// routed is shares for a test.
func (l *lambdaFake) routed() map[string]float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shares()
}

// fails makes the API fail, until it is given nil.
func (l *lambdaFake) fails(refuse func(method, path string) (int, string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = refuse
}
