package serving

import (
	"time"

	"github.com/leanloop/leanloop/internal/inference"
)

// SetChallengerScorer puts another scorer into the challenger that a model has now, and gives the one it had.
func (s *Server) SetChallengerScorer(model string, scorer inference.Scorer) inference.Scorer {
	old := s.route(model).challenger.model.Scorer
	s.route(model).challenger.model.Scorer = scorer
	return old
}

// SetChampionScorer is SetChallengerScorer for the champion.
func (s *Server) SetChampionScorer(model string, scorer inference.Scorer) inference.Scorer {
	old := s.route(model).champion.model.Scorer
	s.route(model).champion.model.Scorer = scorer
	return old
}

// ChallengerBudget is how long a model's challenger has for so many rows.
func (s *Server) ChallengerBudget(model string, rows int) time.Duration {
	return s.budget(s.route(model), rows)
}

// SetMirrorRoom bounds the bytes of copies that wait for a challenger.
func (s *Server) SetMirrorRoom(bytes int64) { s.mirrors.room = bytes }

// Crash ends the gateway as kill -9 does: what its log has in memory is gone, its files stay as they are.
func (s *Server) Crash() error { return s.logged.end() }

// PersistLog moves logged rows from memory to the state folder, as a running gateway does by itself.
func (s *Server) PersistLog() error { return s.logged.persist(s.ports.Clock(), false) }

// LogFileRows are the rows of a file of the prediction log, as a part in Parquet, and how many bytes behind them are
// none. It is what a restarted gateway makes of what it finds.
func LogFileRows(data []byte) (rows [][]byte, torn int64, err error) {
	h, frames, torn, err := parseLogFile(data)
	if err != nil {
		return nil, torn, err
	}
	var kinds []string
	for _, f := range h.Features {
		kinds = append(kinds, f.Type)
	}
	for _, frame := range frames {
		r := logRows{data: frame, kinds: kinds}
		for {
			before := r.data
			_, more, err := r.next()
			if err != nil || !more {
				if err != nil {
					return rows, torn, err
				}
				break
			}
			rows = append(rows, before[:len(before)-len(r.data)])
		}
	}
	if _, _, err := packRows(h, frames); err != nil {
		return rows, torn, err
	}
	return rows, torn, nil
}
