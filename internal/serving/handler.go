package serving

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"unicode/utf8"
)

// Handler answers applications:
//
//	POST /predict/{model}          {"features": {name: value, ...}} or {"instances": [{...}, ...]}
//	GET  /v2, /v2/health/live, /v2/health/ready, /v2/models/{model}, /v2/models/{model}/ready
//	POST /v2/models/{model}/infer  Open Inference Protocol v2, with the extension for binary tensor data
//	POST /v2/repository/index      the models
//	GET  /openapi.json             all of this as OpenAPI 3.1, with each model's features
//
// A version may be named before ready and infer (/v2/models/{model}/versions/{version}/infer): the champion's, whose
// answer then isn't the challenger's to give.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/predict/{model}", s.allow(http.MethodPost, false, s.predict))
	mux.HandleFunc("/v2/models/{model}/infer", s.allow(http.MethodPost, true, s.infer))
	mux.HandleFunc("/v2/models/{model}/versions/{version}/infer", s.allow(http.MethodPost, true, s.infer))
	mux.HandleFunc("/v2/models/{model}/versions/{version}", s.allow(http.MethodGet, true, s.modelMetadata))
	mux.HandleFunc("/v2/models/{model}/versions/{version}/ready", s.allow(http.MethodGet, true, s.modelReady))
	mux.HandleFunc("/v2/repository/index", s.allow(http.MethodPost, true, s.index))
	mux.HandleFunc("/openapi.json", s.allow(http.MethodGet, true, s.openAPI))
	mux.HandleFunc("/v2", s.allow(http.MethodGet, true, s.serverMetadata))
	mux.HandleFunc("/v2/{$}", s.allow(http.MethodGet, true, s.serverMetadata))
	mux.HandleFunc("/v2/health/live", s.allow(http.MethodGet, true, s.live))
	mux.HandleFunc("/v2/health/ready", s.allow(http.MethodGet, true, s.readyForAll))
	mux.HandleFunc("/v2/models/{model}", s.allow(http.MethodGet, true, s.modelMetadata))
	mux.HandleFunc("/v2/models/{model}/ready", s.allow(http.MethodGet, true, s.modelReady))
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		s.reject(w, true, &problem{Status: http.StatusNotFound, Code: "not_found",
			Message: fmt.Sprintf("no such path: %s %s", req.Method, clip(req.URL.Path))})
	})
	return mux
}

// allow holds a path to one method (GET takes HEAD too).
func (s *Server) allow(method string, bare bool, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if req.Method != method && (method != http.MethodGet || req.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			s.reject(w, bare, &problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
				Message: fmt.Sprintf("method %s: want %s", clip(req.Method), method)})
			return
		}
		next(w, req)
	}
}

// reject answers a request that got no prediction.
func (s *Server) reject(w http.ResponseWriter, bare bool, p *problem) {
	s.metrics.rejected.WithLabelValues(strconv.Itoa(p.Status)).Inc()
	p.send(w, bare)
}

func (s *Server) predict(w http.ResponseWriter, req *http.Request) {
	s.answer(w, req, false, func(wk *work, r *route) *problem {
		if p := wk.check(); p != nil {
			return p
		}
		single, p := wk.decodePredict(r, s.cfg.MaxBatch)
		if p == nil {
			p = s.score(req.Context(), wk, r, false)
		}
		if p == nil {
			wk.appendPredict(r, single)
		}
		return p
	})
}

func (s *Server) infer(w http.ResponseWriter, req *http.Request) {
	s.answer(w, req, true, func(wk *work, r *route) *problem {
		if p := wk.pin(r, req.PathValue("version")); p != nil {
			return p
		}
		if p := wk.cutBinary(req); p != nil {
			return p
		}
		if p := wk.check(); p != nil {
			return p
		}
		asked, p := wk.decodeInfer(r, s.cfg.MaxBatch)
		if p == nil {
			p = s.score(req.Context(), wk, r, true)
		}
		if p == nil {
			wk.appendInfer(r, asked)
		}
		return p
	})
}

// answer takes one prediction request through: admit, read, find the route, do, send, log.
func (s *Server) answer(w http.ResponseWriter, req *http.Request, bare bool, do func(*work, *route) *problem) {
	wk := s.works.Get().(*work)
	defer func() {
		s.gate.leave(wk)
		if wk.reusable() {
			wk.reset()
			s.works.Put(wk)
		}
	}()
	size, p := bodySize(req, s.cfg.MaxBody)
	if p == nil {
		p = s.gate.admit(wk, size)
	}
	if p == nil {
		p = wk.read(req, size, s.gate)
	}
	if p == nil {
		p = s.gate.enter(wk)
	}
	if p != nil {
		s.reject(w, bare, p)
		return
	}
	// The table is read once, and after the body: a slow client is answered by the newest.
	r, routes := s.routeFor(req.PathValue("model"))
	if r == nil {
		s.reject(w, bare, s.unserved(req.PathValue("model"), routes))
		return
	}
	defer r.letGo(s.troubles)
	if r.champion == nil {
		p = noChampion(r.model)
	} else {
		p = do(wk, r)
	}
	if p != nil {
		s.reject(w, bare, p)
		return
	}
	if wk.header > 0 {
		sendBinary(w, wk.answer, wk.header)
	} else {
		sendJSON(w, http.StatusOK, wk.answer)
	}
	now := s.ports.Clock()
	s.logged.add(wk, r, now)
	s.mirror(w, wk, r, now)
}

// score answers the rows and names each answer. together keeps all rows of the request on one arm.
func (s *Server) score(ctx context.Context, wk *work, r *route, together bool) *problem {
	now := s.ports.Clock()
	wk.together = together
	p := s.scores(ctx, wk, r, now)
	if p == nil {
		wk.giveIDs(s.ids, now)
	}
	return p
}

// read takes in a body of at most total bytes. The gate counts what it holds before it holds it.
func (w *work) read(req *http.Request, total int64, g *gate) *problem {
	for {
		if have := int64(len(w.body)); have >= w.held && w.held < total {
			if p := g.hold(w, min(2*w.held, total)); p != nil {
				return p
			}
		}
		if need := int(w.held) + 1; cap(w.body) < need { // one more, for the end
			w.body = append(make([]byte, 0, need), w.body...)
		}
		n, err := req.Body.Read(w.body[len(w.body):min(cap(w.body), int(w.held)+1)])
		w.body = w.body[:len(w.body)+n]
		switch {
		case int64(len(w.body)) > total:
			return tooLarge("request body: more than %d bytes", total)
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &problem{Status: http.StatusRequestTimeout, Code: "too_slow", Message: "the request took too long to arrive"}
		case err != nil:
			return badRequest("bad_request", "the request broke off: %v", err)
		}
	}
}

// check holds the body to what the scanner relies on.
func (w *work) check() *problem {
	if !utf8.Valid(w.body) {
		return badRequest("bad_json", "the request is not valid UTF-8")
	}
	return nil
}

func (s *Server) serverMetadata(w http.ResponseWriter, _ *http.Request) {
	s.sendValue(w, http.StatusOK, map[string]any{"name": "leanloop", "version": "1", "extensions": []string{"binary_tensor_data", "model_repository"}})
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	s.sendValue(w, http.StatusOK, map[string]any{"live": true})
}

func (s *Server) readyForAll(w http.ResponseWriter, _ *http.Request) {
	if ok, why := s.ready(); !ok {
		s.reject(w, true, &problem{Status: http.StatusServiceUnavailable, Code: "not_ready", Message: "not ready: " + why})
		return
	}
	s.sendValue(w, http.StatusOK, map[string]any{"ready": true})
}

func (s *Server) modelMetadata(w http.ResponseWriter, req *http.Request) {
	if r := s.servedRoute(w, req); r != nil {
		s.sendValue(w, http.StatusOK, r.metadata())
	}
}

func (s *Server) modelReady(w http.ResponseWriter, req *http.Request) {
	if r := s.servedRoute(w, req); r != nil {
		s.sendValue(w, http.StatusOK, map[string]any{"name": r.model, "ready": true})
	}
}

// unserved is why a model has no route: there is no such model, or nobody knows yet.
func (s *Server) unserved(model string, routes map[string]*route) *problem {
	if !s.discovered.Load() {
		return notKnownYet(model)
	}
	for _, f := range s.all() {
		if f.model == model && !f.looked.Load() {
			return notKnownYet(model)
		}
	}
	return unknownModel(model, routes)
}

// servedRoute gives the route of the named model, or answers why there is none.
func (s *Server) servedRoute(w http.ResponseWriter, req *http.Request) *route {
	routes := s.table.Load().routes
	r, known := routes[req.PathValue("model")]
	if !known {
		s.reject(w, true, s.unserved(req.PathValue("model"), routes))
		return nil
	}
	if r.champion == nil {
		s.reject(w, true, noChampion(r.model))
		return nil
	}
	if p := notServed(r, req.PathValue("version")); p != nil {
		s.reject(w, true, p)
		return nil
	}
	return r
}

// pin holds all rows to the champion where its version was asked for.
func (w *work) pin(r *route, version string) *problem {
	w.pinned = version != ""
	return notServed(r, version)
}

func (s *Server) sendValue(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.log().Error("an answer has no JSON", "error", err)
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written"}`)
	}
	sendJSON(w, status, append(body, '\n'))
}
