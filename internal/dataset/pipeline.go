package dataset

import "sync"

// parallel reads the blocks behind the first: one goroutine reads, hashes and cuts them, workers parse them, and this one
// delivers them in order, so that the first fault of the file is the one that is returned, whoever found another
// before. No goroutine is left when it returns.
func (s *textScan) parallel(r *blockReader, first *parsed, workers int) error {
	blocks := workers + 2 // one is read and one delivered meanwhile
	free, read, ordered := make(chan *parsed, blocks), make(chan *parsed, blocks), make(chan *parsed, blocks)
	stop := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	defer close(stop)

	free <- first
	for range blocks - 1 {
		free <- &parsed{keep: s.o.Keep}
	}
	all.Go(func() {
		defer close(read)
		defer close(ordered)
		for {
			select {
			case <-stop:
				return
			case c := <-free:
				r.next(&c.block)
				c.ready = make(chan struct{})
				ordered <- c // both have room for every block there is
				read <- c
				if c.block.err != nil || c.block.long != nil {
					return
				}
			}
		}
	})
	for range workers {
		p := s.parser()
		all.Go(func() {
			for c := range read {
				select {
				case <-stop:
					return
				default:
					p.parse(c, s.specs())
					close(c.ready)
				}
			}
		})
	}
	for c := range ordered {
		<-c.ready
		if done, err := s.deliver(c); done || err != nil {
			return err
		}
		free <- c
	}
	return nil
}
