package training

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// predictionColumn is the column of the positive class's probability, or of a regression's value.
const predictionColumn = "prediction"

// ReadPredictions reads predictions of so many rows, in the order of the rows: CSV with a header, or JSON lines, which
// begin with a brace. Their columns are
//   - regression: prediction;
//   - binary: prediction, which is the positive class's probability, or one column for each of the two classes;
//   - multiclass: one column for each class, in any order.
//
// The result has Outputs() scores for each row. Any error but one of r is a *PredictionsError that names the row, from 1
// and without the header, what was observed and what is wanted.
func ReadPredictions(r io.Reader, s inference.Signature, rows int) ([]float64, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	first, err := firstByte(in)
	if err != nil {
		return nil, err
	}
	p := &predictions{signature: s, rows: rows}
	if first == '{' {
		err = p.readJSON(in)
	} else {
		err = p.readCSV(in)
	}
	if err != nil {
		return nil, err
	}
	if n := p.read; n != rows {
		return nil, &PredictionsError{fmt.Errorf("observed %d rows, want %d: one for each row of LEANLOOP_ROWS, in its order", n, rows)}
	}
	if err := p.check(); err != nil {
		return nil, &PredictionsError{err}
	}
	return p.scores(), nil
}

// firstByte looks past a byte order mark and space.
func firstByte(in *bufio.Reader) (byte, error) {
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	for {
		b, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return 0, &PredictionsError{errors.New("the file is empty")}
		case err != nil:
			return 0, err
		case b != ' ' && b != '\t' && b != '\r' && b != '\n':
			return b, in.UnreadByte()
		}
	}
}

// predictions are being read.
type predictions struct {
	signature inference.Signature
	rows      int
	columns   []string // as the first row has them
	place     []int    // of each column among the scores of a row
	read      int      // rows so far
	values    []float64
}

// wanted are the sets of columns that the signature's model may have.
func (p *predictions) wanted() [][]string {
	switch p.signature.Task {
	case spec.Multiclass:
		return [][]string{p.signature.Classes}
	case spec.Binary:
		return [][]string{{predictionColumn}, p.signature.Classes}
	}
	return [][]string{{predictionColumn}}
}

// begin takes the names of the columns.
func (p *predictions) begin(names []string) error {
	for _, want := range p.wanted() {
		if len(names) != len(want) {
			continue
		}
		place := make([]int, len(names))
		seen := make([]bool, len(names))
		for i, name := range names {
			place[i] = slices.Index(want, name)
			if place[i] < 0 || seen[place[i]] {
				place = nil
				break
			}
			seen[place[i]] = true
		}
		if place != nil {
			p.columns, p.place = slices.Clone(names), place
			return nil
		}
	}
	var forms []string
	for _, want := range p.wanted() {
		forms = append(forms, fmt.Sprintf("%.1000q", want))
	}
	return &PredictionsError{fmt.Errorf("columns: observed %.1000q, want %s", names, strings.Join(forms, " or "))}
}

// next makes room for another row.
func (p *predictions) next() ([]float64, error) {
	if p.read == p.rows {
		return nil, &PredictionsError{fmt.Errorf("observed more than %d rows, want one for each row of LEANLOOP_ROWS", p.rows)}
	}
	p.read++
	start := len(p.values)
	p.values = append(p.values, make([]float64, len(p.columns))...)
	return p.values[start:], nil
}

// put takes one cell.
func (p *predictions) put(row []float64, column int, text string) error {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return &PredictionsError{fmt.Errorf("row %d: column %q: observed %.40q, want a number", p.read, p.columns[column], text)}
	}
	row[p.place[column]] = v
	return nil
}

func (p *predictions) readCSV(in io.Reader) error {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if err == nil {
		err = p.begin(header)
	}
	for err == nil {
		var record []string
		if record, err = r.Read(); err != nil {
			break
		}
		var row []float64
		if row, err = p.next(); err != nil {
			break
		}
		for i, cell := range record { // as many as the header has: the reader holds them to it
			if err = p.put(row, i, cell); err != nil {
				break
			}
		}
	}
	if broken, ok := errors.AsType[*csv.ParseError](err); ok {
		return &PredictionsError{fmt.Errorf("row %d: not CSV: %w", p.read+1, broken)}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (p *predictions) readJSON(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, int(min(predictionsLimit(p.signature, 1), 64<<20)))
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var cells map[string]json.Number
		if err := json.Unmarshal(line, &cells); err != nil {
			return &PredictionsError{fmt.Errorf("row %d: not a JSON object of numbers: %w", p.read+1, err)}
		}
		if err := p.takeObject(cells); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return &PredictionsError{fmt.Errorf("row %d: the line is too long", p.read+1)}
	}
	return lines.Err()
}

// takeObject takes the columns from the first object, and the same from all others.
func (p *predictions) takeObject(cells map[string]json.Number) error {
	if p.columns == nil {
		names := make([]string, 0, len(cells))
		for name := range cells {
			names = append(names, name)
		}
		slices.Sort(names)
		if err := p.begin(names); err != nil {
			return err
		}
	}
	row, err := p.next()
	if err != nil {
		return err
	}
	if len(cells) != len(p.columns) {
		return &PredictionsError{fmt.Errorf("row %d: observed %d columns, row 1 has %d", p.read, len(cells), len(p.columns))}
	}
	for i, name := range p.columns {
		cell, ok := cells[name]
		if !ok {
			return &PredictionsError{fmt.Errorf("row %d: column %q is missing", p.read, name)}
		}
		if err := p.put(row, i, cell.String()); err != nil {
			return err
		}
	}
	return nil
}

// both says that a binary model answered with both of its classes.
func (p *predictions) both() bool { return p.signature.Task == spec.Binary && len(p.place) == 2 }

// check holds the numbers to what they mean.
func (p *predictions) check() error {
	s := p.signature
	if p.both() {
		s.Task = spec.Multiclass // two classes, and each has a probability
	}
	return s.CheckScores(p.values, 1)
}

// scores are what the model's scorer would give.
func (p *predictions) scores() []float64 {
	if !p.both() {
		return p.values
	}
	positive := make([]float64, p.rows)
	for i := range positive {
		positive[i] = p.values[2*i+1]
	}
	return positive
}
