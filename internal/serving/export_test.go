package serving

import "github.com/leanloop/leanloop/internal/inference"

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

// SetMirrorRoom bounds the bytes of copies that wait for a challenger.
func (s *Server) SetMirrorRoom(bytes int64) { s.mirrors.room = bytes }
