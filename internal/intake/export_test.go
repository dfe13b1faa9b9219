package intake

// Hinted takes the hint that is due, if one is.
func (s *Sweeper) Hinted() bool {
	select {
	case <-s.hints:
		return true
	default:
		return false
	}
}
