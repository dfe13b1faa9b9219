package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
)

// How long an emergency waits: for the bucket to say who is alive, and for one gateway.
const (
	heartbeatsWithin = 5 * time.Second
	gatewayWithin    = 15 * time.Second
)

// glassBroken is the result.
type glassBroken struct {
	Model    string          `json:"model"`
	Actor    string          `json:"actor"`
	Gateways []gatewayAnswer `json:"gateways"`
	InLedger bool            `json:"in_ledger"` // gateways that didn't answer follow it there
	Seq      int64           `json:"seq,omitempty"`
}

// gatewayAnswer is what one gateway did.
type gatewayAnswer struct {
	ID     string                  `json:"id,omitempty"`
	URL    string                  `json:"url,omitempty"`
	Error  string                  `json:"error,omitempty"` // why it did nothing
	Answer *serving.RollbackAnswer `json:"answer,omitempty"`

	refused bool // the ledger doesn't allow it
}

// breakTheGlass tells every gateway at once. One that can't be reached keeps none of the others waiting.
func (o *rollbackOptions) breakTheGlass(ctx context.Context, actor string) error {
	if err := registry.CheckName("model", o.model); err != nil {
		return usagef("%w", err)
	}
	if err := o.refuseGlass(ctx); err != nil {
		return err
	}
	token, err := o.adminToken()
	if err != nil {
		return err
	}
	found, err := o.glassGateways(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(serving.RollbackOrder{Actor: actor, Reason: o.reason, To: o.to})
	if err != nil {
		return err
	}
	now := o.now()
	out := glassBroken{Model: o.model, Actor: actor, Gateways: found}
	var calls sync.WaitGroup
	for i := range out.Gateways {
		calls.Go(func() { out.Gateways[i].order(ctx, o.model, token, text, now) })
	}
	calls.Wait()
	for _, g := range out.Gateways {
		if g.Answer != nil && g.Answer.LedgerError == "" {
			out.InLedger, out.Seq = true, max(out.Seq, g.Answer.Seq)
		}
	}
	if err := o.print(out, func(p *page) { glassTable(p, out) }); err != nil {
		return err
	}
	return out.failure()
}

// adminToken is what orders are signed with. It goes nowhere itself: a heartbeat, which names where an order goes, is
// whoever's who may write to the bucket.
func (o *rollbackOptions) adminToken() (*serving.Token, error) {
	text, file := o.env("LEANLOOP_ADMIN_TOKEN"), o.env("LEANLOOP_ADMIN_TOKEN_FILE")
	if o.tokenFile != "" {
		text, file = "", o.tokenFile
	}
	found, err := serving.TokenText(text, file)
	if err != nil {
		return nil, usagef("%w", err)
	}
	if found == "" {
		return nil, usagef("--break-glass needs the gateways' admin token: LEANLOOP_ADMIN_TOKEN, LEANLOOP_ADMIN_TOKEN_FILE or --token-file")
	}
	token, err := serving.NewToken(found)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return token, nil
}

// glassGateways are those that were named, or else those that are alive and serve the model.
func (o *rollbackOptions) glassGateways(ctx context.Context) ([]gatewayAnswer, error) {
	var found []gatewayAnswer
	for _, given := range o.gateways {
		if !isURL(given) {
			return nil, usagef("--gateway %q: want the URL of an admin listener, say http://10.0.0.5:9090", given)
		}
		found = append(found, gatewayAnswer{URL: strings.TrimRight(given, "/")})
	}
	if len(found) > 0 {
		return found, nil
	}
	asking, cancel := context.WithTimeout(ctx, heartbeatsWithin)
	defer cancel()
	store, err := o.store(asking)
	var beats []registry.Heartbeat
	if err == nil {
		beats, err = registry.Heartbeats(asking, store)
	}
	if err != nil {
		return nil, fmt.Errorf("S3 doesn't say which gateways are alive: name their admin listeners by --gateway http://HOST:9090: %w", err)
	}
	for _, h := range registry.Live(beats, o.now()) {
		if len(h.Only) > 0 && !slices.Contains(h.Only, o.model) {
			continue
		}
		found = append(found, gatewayAnswer{ID: h.ID, URL: strings.TrimRight(h.Admin, "/")})
	}
	if len(found) == 0 {
		return nil, notFound("a live gateway that serves "+o.model, "without one, nobody is answered by the challenger either; name one by --gateway if its heartbeat is late")
	}
	return found, nil
}

// isURL says whether a gateway can be reached so.
func isURL(given string) bool {
	u, err := url.Parse(given)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// order tells one gateway, and keeps what it answers.
func (g *gatewayAnswer) order(ctx context.Context, model string, token *serving.Token, body []byte, now time.Time) {
	if g.URL == "" {
		g.Error = "its heartbeat names no admin listener: name it by --gateway"
		return
	}
	if err := g.post(ctx, model, token, body, now); err != nil {
		g.Error = err.Error()
	} else if g.ID == "" {
		g.ID = g.Answer.Gateway
	}
}

func (g *gatewayAnswer) post(ctx context.Context, model string, token *serving.Token, body []byte, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, gatewayWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+"/admin/rollback/"+model, bytes.NewReader(body))
	if err != nil {
		return err
	}
	token.Sign(req, body, now)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("a redirect, and the order isn't for another")
		},
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	g.refused = resp.StatusCode == http.StatusConflict
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		var said struct{ Error string }
		if json.Unmarshal(raw, &said) == nil && said.Error != "" {
			return fmt.Errorf("%s: %s", resp.Status, said.Error)
		}
		return fmt.Errorf("it answered %s: is this an admin listener?", resp.Status)
	}
	var answer serving.RollbackAnswer
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Outcome == "" {
		return fmt.Errorf("it answered something else than a gateway's admin listener does: %.80q", raw)
	}
	if !token.Answered(req, resp, raw) {
		return errors.New("its answer isn't signed with the admin token: that isn't a gateway of yours, or one of an older release")
	}
	if g.ID != "" && g.ID != answer.Gateway {
		return fmt.Errorf("gateway %q answered at the address of %q, which wasn't told: give that gateway a LEANLOOP_ADMIN_ADDRESS that can be reached from here, or name it by --gateway", answer.Gateway, g.ID)
	}
	g.Answer = &answer
	return nil
}

// failure is nil where the ledger has it, since gateways that didn't answer follow that, or where each serves so.
func (b glassBroken) failure() error {
	failed, refused := 0, 0
	for _, g := range b.Gateways {
		if g.Error != "" {
			failed++
		}
		if g.refused {
			refused++
		}
	}
	switch {
	case b.InLedger || failed == 0:
		return nil
	case refused == len(b.Gateways):
		return &refusedError{what: "rollback of " + b.Model, why: b.Gateways[0].Error}
	}
	return fmt.Errorf("%d of %d gateway(s) didn't roll %s back, and the ledger doesn't have it", failed, len(b.Gateways), b.Model)
}

func glassTable(p *page, b glassBroken) {
	t := newTable("gateway", "did", "champion", "entry", "")
	for _, g := range b.Gateways {
		name := first(g.ID, g.URL)
		if g.Answer == nil {
			t.add(name, cell{"nothing", toneBad}, "-", "-", g.Error)
			continue
		}
		a := *g.Answer
		switch {
		case a.LedgerError == "":
			t.add(name, cell{a.Outcome, toneGood}, version(a.Champion), fmt.Sprint(a.Seq), "")
		case a.Durable:
			t.add(name, cell{a.Outcome, toneWarn}, version(a.Champion), "-", a.LedgerError)
		default:
			t.add(name, cell{a.Outcome, toneWarn}, version(a.Champion), "-", "until it restarts, since its disk takes nothing; "+a.LedgerError)
		}
	}
	p.table(t)
	if b.InLedger {
		p.line("%s: the ledger has it; gateways follow within seconds", b.Model)
		return
	}
	p.line("%s: the ledger doesn't have it yet. Gateways that did it serve so, over a restart too, and append it when S3 is back", b.Model)
}
