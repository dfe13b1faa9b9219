package testkit

import (
	"net"
	"sync"
	"testing"
)

// Line is the way that one program takes to a server: a TCP proxy that can be cut, while others reach the server by
// ways of their own.
type Line struct {
	target   string
	listener net.Listener

	mu     sync.Mutex
	mended chan struct{} // closed when the line is whole; a cut line has an open one
	conns  map[net.Conn]bool
	closed bool
}

// NewLine starts a line to host:port. It ends with the test.
func NewLine(t testing.TB, target string) *Line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	whole := make(chan struct{})
	close(whole)
	l := &Line{target: target, listener: listener, mended: whole, conns: map[net.Conn]bool{}}
	go l.accept()
	t.Cleanup(l.close)
	return l
}

// Address is where the server is reached by this line.
func (l *Line) Address() string { return l.listener.Addr().String() }

// Cut makes the line swallow everything, as a network does that drops packets: nothing is refused, and nothing comes
// through. Cutting a cut line changes nothing.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.mended:
		l.mended = make(chan struct{})
	default:
	}
}

// Mend makes the line whole for new connections. Those that lost something are closed.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.mended:
	default:
		close(l.mended)
	}
}

// whole gives a channel that is closed already unless the line is cut, and then when it is mended.
func (l *Line) whole() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mended
}

func (l *Line) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.carry(near)
	}
}

// carry joins one connection with one to the server.
func (l *Line) carry(near net.Conn) {
	if !l.hold(near) {
		return
	}
	defer l.drop(near)
	<-l.whole()
	far, err := net.Dial("tcp", l.target)
	if err != nil || !l.hold(far) {
		return
	}
	defer l.drop(far)
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			l.copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done // either side ended, or lost something
}

// copy passes on what comes, until an end or a cut. What is read while the line is cut is lost.
func (l *Line) copy(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		whole := l.whole()
		select {
		case <-whole:
		default:
			<-whole
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold remembers a connection for the end; false says that it is there already.
func (l *Line) hold(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = c.Close()
		return false
	}
	l.conns[c] = true
	return true
}

func (l *Line) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	_ = c.Close()
}

func (l *Line) close() {
	l.Mend()
	_ = l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for c := range l.conns {
		_ = c.Close()
	}
}
