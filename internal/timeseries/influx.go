package timeseries

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/influxdata/influxdb-client-go/v2/api/write"
)

// DefaultInfluxTimeout bounds one call.
const DefaultInfluxTimeout = 20 * time.Second

// DefaultInfluxBucket is a program's bucket where INFLUX_BUCKET names none, as InfluxDB 2.x calls one. 1.8 has no
// bucket of such a name.
const DefaultInfluxBucket = "leanloop"

// InfluxConfig names an InfluxDB server: 2.x with Token, Org and Bucket, or 1.8 with Bucket "database/policy",
// Org empty and Token empty or "user:password". Flux must be on.
type InfluxConfig struct {
	URL    string
	Token  string
	Org    string
	Bucket string
}

// Validate says what is missing or wrong.
func (c InfluxConfig) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("influx: url %q, want http://host:port or https://host:port", withoutUser(c.URL))
	}
	if u.User != nil { // it would be in every error of every call
		return errors.New("influx: the url holds a user or password: they belong in the token, user:password for InfluxDB 1.8")
	}
	if c.Bucket == "" {
		return errors.New(`influx: no bucket given; on InfluxDB 1.8 it is "database/policy"`)
	}
	return nil
}

// withoutUser is an address for an error: what stands before an @ may be a password.
func withoutUser(address string) string {
	if _, host, found := strings.Cut(address, "@"); found {
		return "...@" + host
	}
	return address
}

// Influx is a store in InfluxDB 1.8 or 2.x. It is safe for concurrent use.
type Influx struct {
	bucket string
	client influxdb2.Client
	writer api.WriteAPIBlocking
	reader api.QueryAPI
}

// NewInflux makes a client. It makes no call: a server that is down is noticed by the first write or query.
func NewInflux(c InfluxConfig) (*Influx, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	// The client's own transport can't be told to end its idle connections; ours is.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	options := influxdb2.DefaultOptions().
		SetHTTPClient(&http.Client{Timeout: DefaultInfluxTimeout, Transport: transport}).
		SetPrecision(time.Nanosecond)
	client := influxdb2.NewClientWithOptions(strings.TrimSuffix(c.URL, "/"), c.Token, options)
	return &Influx{
		bucket: c.Bucket,
		client: client,
		writer: client.WriteAPIBlocking(c.Org, c.Bucket),
		reader: client.QueryAPI(c.Org),
	}, nil
}

// Close ends the idle connections.
func (x *Influx) Close() {
	x.client.Close()
	x.client.Options().HTTPClient().CloseIdleConnections()
}

// Write implements Writer: one request for all points, so that a retry repeats them all.
func (x *Influx) Write(ctx context.Context, points []Point) error {
	if len(points) == 0 {
		return nil
	}
	if err := validateAll(points); err != nil {
		return err
	}
	lines := make([]*write.Point, 0, len(points))
	for _, p := range points {
		fields := make(map[string]any, len(p.Fields))
		for name, v := range p.Fields {
			fields[name] = v
		}
		lines = append(lines, influxdb2.NewPoint(p.Measurement, cleanTags(p.Tags), fields, p.Time))
	}
	return influxError("write", x.writer.WritePoint(ctx, lines...))
}

// Sum implements Reader.
func (x *Influx) Sum(ctx context.Context, q Query) ([]Row, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	result, err := x.reader.Query(ctx, sumFlux(x.bucket, q))
	if err != nil {
		return nil, influxError("query", err)
	}
	defer func() { _ = result.Close() }()
	groups := map[string]*Row{}
	var order []*Row
	for result.Next() {
		record := result.Record()
		value, ok := record.Value().(float64)
		if !ok {
			return nil, &Error{Op: "query", Status: http.StatusOK, Final: true,
				Err: fmt.Errorf("field %s of %s: observed a %T, want a float", record.Field(), q.Measurement, record.Value())}
		}
		tags := make(map[string]string, len(q.GroupBy))
		var key strings.Builder
		for _, tag := range q.GroupBy {
			text, _ := record.ValueByKey(tag).(string)
			tags[tag] = text
			key.WriteString(text + "\x00")
		}
		row, ok := groups[key.String()]
		if !ok {
			row = &Row{Tags: tags, Fields: map[string]float64{}}
			groups[key.String()] = row
			order = append(order, row)
		}
		row.Fields[record.Field()] += value
	}
	if err := result.Err(); err != nil {
		return nil, influxError("query", err)
	}
	rows := make([]Row, 0, len(order))
	for _, row := range order {
		rows = append(rows, *row)
	}
	sortRows(rows, q.GroupBy)
	return rows, nil
}

// sumFlux writes the query in the part of Flux that InfluxDB 1.8 and 2.x have in common. 1.8 takes a point at the
// range's stop as in the range, so the second filter says it again; it isn't pushed down to storage, but it only sees
// what the first one let through.
func sumFlux(bucket string, q Query) string {
	conditions := []string{"r._measurement == " + fluxString(q.Measurement)}
	names := make([]string, 0, len(q.Tags))
	for name := range q.Tags {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		conditions = append(conditions, fmt.Sprintf("r[%s] == %s", fluxString(name), fluxString(TagValue(q.Tags[name]))))
	}
	group := []string{fluxString("_field")}
	for _, name := range q.GroupBy {
		group = append(group, fluxString(name))
	}
	return fmt.Sprintf(`from(bucket: %s)
  |> range(start: %s, stop: %s)
  |> filter(fn: (r) => %s)
  |> filter(fn: (r) => r._time < %s)
  |> group(columns: [%s])
  |> sum()`, fluxString(bucket), fluxTime(q.Start), fluxTime(q.Stop), strings.Join(conditions, " and "), fluxTime(q.Stop), strings.Join(group, ", "))
}

func fluxTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// fluxString quotes s; "${" would start an interpolation.
func fluxString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`).Replace(s) + `"`
}

// influxError sorts errors into those that a retry may cure and those that it can't. 400 (a bad line or type), 401,
// 403, 404 and 413 are final; 429 and 503 come with the time to wait; anything else, 1.8's 500 for every failed
// query too, may pass.
func influxError(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Err: err}
	var h *influxhttp.Error
	if errors.As(err, &h) {
		e.Status = h.StatusCode
		e.RetryAfter = time.Duration(h.RetryAfter) * time.Second
		switch h.StatusCode {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
			http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			e.Final = true
		}
	}
	return e
}
