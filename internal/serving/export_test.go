package serving

import "github.com/leanloop/leanloop/internal/inference"

// SetChallengerScorer puts another scorer into the challenger that a model has now, and gives the one it had.
func (s *Server) SetChallengerScorer(model string, scorer inference.Scorer) inference.Scorer {
	old := s.route(model).challenger.model.Scorer
	s.route(model).challenger.model.Scorer = scorer
	return old
}
