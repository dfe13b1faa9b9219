// Package bench measures what several packages do together: a lifecycle against bare Temporal, the gateway against
// itself with nothing to score. Its results are ratios within one run, since machines differ: docs/benchmarks.md.
package bench

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
)

// Shape of the gateway's load.
const (
	connections = 8   // kept alive, each with one request at a time
	batch       = 500 // requests of a connection before the next variant's turn
)

// BenchmarkGateway asks three servers in turn, so that whatever else the machine does hits all of them alike: bare
// net/http that reads the request and answers fixed bytes, the gateway with a model that is a constant, and the gateway
// with 100 trees trained on January's flights. One operation is one round of all three.
func BenchmarkGateway(b *testing.B) {
	trees, constant := newGateway(b, 0, treesModel(b, 1)), newGateway(b, 0, constantModel(b))
	variants := []struct {
		name    string
		address string
		spent   time.Duration
	}{
		{name: "bare", address: serve(b, http.HandlerFunc(fixedAnswer))},
		{name: "constant", address: constant.address},
		{name: "trees", address: trees.address},
	}
	requests := requestsOf(b)
	for _, v := range variants {
		load(b, v.address, requests) // connections, pools and code are warm
	}
	for b.Loop() {
		for i := range variants {
			began := time.Now()
			load(b, variants[i].address, requests)
			variants[i].spent += time.Since(began)
		}
	}
	rate := map[string]float64{}
	for _, v := range variants {
		rate[v.name] = float64(b.N*connections*batch) / v.spent.Seconds()
		b.ReportMetric(rate[v.name], v.name+"/s")
	}
	b.ReportMetric(rate["trees"]/rate["constant"], "trees/constant")
	b.ReportMetric(rate["trees"]/rate["bare"], "trees/bare")
	b.ReportMetric(0, "ns/op") // of a round: says nothing
}

// load sends batch requests on each connection and waits for all answers.
func load(b *testing.B, address string, requests [][]byte) {
	var all sync.WaitGroup
	failed := make(chan error, connections)
	for i := range connections {
		all.Go(func() {
			c, err := dial(address)
			if err != nil {
				failed <- err
				return
			}
			defer c.close()
			for n := range batch {
				if err := c.ask(requests[(i*batch+n)%len(requests)]); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
}

// BenchmarkSplit asks the gateway one request at a time, with the champion alone and with a challenger that takes 10 %
// of the requests, in turn. One operation is one request to each.
func BenchmarkSplit(b *testing.B) {
	alone := newGateway(b, 0, treesModel(b, 1))
	split := newGateway(b, 0.1, treesModel(b, 1), treesModel(b, 2))
	requests := requestsOf(b)
	one, two := mustDial(b, alone.address), mustDial(b, split.address)
	var latencies [2][]time.Duration
	for n := 0; b.Loop(); n++ {
		request := requests[n%len(requests)]
		for i, c := range []*connection{one, two} {
			began := time.Now()
			if err := c.ask(request); err != nil {
				b.Fatal(err)
			}
			latencies[i] = append(latencies[i], time.Since(began))
		}
	}
	var p50, p99 [2]float64
	for i := range latencies {
		slices.Sort(latencies[i])
		p50[i], p99[i] = quantile(latencies[i], 0.5), quantile(latencies[i], 0.99)
	}
	b.ReportMetric(p50[0], "alone-p50-µs")
	b.ReportMetric(p99[0], "alone-p99-µs")
	b.ReportMetric(p50[1]-p50[0], "added-p50-µs")
	b.ReportMetric(p99[1]-p99[0], "added-p99-µs")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPredictionLog asks the gateway with every row logged and with none, in turn. One operation is a round of both.
func BenchmarkPredictionLog(b *testing.B) {
	on, off := startGateway(b, gatewayOptions{sample: 1}, treesModel(b, 1)), startGateway(b, gatewayOptions{}, treesModel(b, 1))
	duel(b, on, off, requestsOf(b))
}

// BenchmarkCanary asks the gateway with all that a canary brings, a sticky split and every row logged, and with the
// champion alone and no log, in turn. One operation is a round of both.
func BenchmarkCanary(b *testing.B) {
	const key = "flight_key"
	on := startGateway(b, gatewayOptions{sample: 1, weight: 0.1, sticky: key}, treesModel(b, 1), treesModel(b, 2))
	off := startGateway(b, gatewayOptions{sticky: key}, treesModel(b, 1))
	duel(b, on, off, requestsBy(b, key))
}

// duel reports predictions a second of two gateways that take turns, and their ratio.
func duel(b *testing.B, on, off *gateway, requests [][]byte) {
	var spent [2]time.Duration
	load(b, on.address, requests)
	load(b, off.address, requests)
	for b.Loop() {
		for i, g := range []*gateway{on, off} {
			began := time.Now()
			load(b, g.address, requests)
			spent[i] += time.Since(began)
		}
	}
	b.ReportMetric(float64(b.N*connections*batch)/spent[0].Seconds(), "on/s")
	b.ReportMetric(float64(b.N*connections*batch)/spent[1].Seconds(), "off/s")
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "on/off")
	b.ReportMetric(0, "ns/op")
}

// quantile of sorted latencies, in microseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	return float64(sorted[int(q*float64(len(sorted)-1))].Nanoseconds()) / 1000
}

// The benchmarks' own fixtures: what is measured must answer what the model says, and split as it is told.
func TestGatewaysAnswerWhatIsMeasured(t *testing.T) {
	var model struct {
		Learner struct {
			Booster struct {
				Model struct {
					Trees []struct {
						Left []int `json:"left_children"`
					} `json:"trees"`
				} `json:"model"`
			} `json:"gradient_booster"`
		} `json:"learner"`
	}
	require.NoError(t, json.Unmarshal(treesModel(t, 1)[inference.ModelFile], &model))
	require.Len(t, model.Learner.Booster.Model.Trees, 100)
	nodes := 0
	for _, tree := range model.Learner.Booster.Model.Trees {
		nodes += len(tree.Left)
	}
	require.Greater(t, nodes, 2000, "trees of depth 6 have up to 127 nodes")

	requests := requestsOf(t)
	trees, constant := newGateway(t, 0, treesModel(t, 1)), newGateway(t, 0, constantModel(t))
	scores := map[float64]bool{}
	for _, r := range requests[:50] {
		scores[mustDial(t, trees.address).score(t, r)] = true
		if got := mustDial(t, constant.address).score(t, r); got != 0.5 {
			t.Fatalf("the constant model answers %v, want 0.5", got)
		}
	}
	if len(scores) < 10 {
		t.Fatalf("the trees give %d different scores to 50 flights", len(scores))
	}
	split := newGateway(t, 0.1, treesModel(t, 1), treesModel(t, 2))
	c := mustDial(t, split.address)
	arms := map[float64]int{}
	for n := range 1000 {
		arms[c.answer(t, requests[n%len(requests)])["version"].(float64)]++
	}
	if arms[2] < 50 || arms[2] > 170 {
		t.Fatalf("of 1000 requests the challenger answered %d, want about 100", arms[2])
	}
}
