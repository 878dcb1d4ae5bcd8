// Package fake is a Throng server for tests of the harness: in memory, simple, and
// right, but for the faults that a test plants in it. It is test support; nothing
// else may import it.
//
// It answers the services of the protocol as docs/protocol.md has them, with one
// exception: any token is accepted, registered or not.
//
// One mutex guards all that is kept. Each connection has two goroutines: one reads
// and answers, the other writes the answers when they are due.
package fake

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"throng/codec"
)

// Limits of the server.
const (
	readBytes  = 64 << 10 // read at once: the requests in it are answered together
	replyBytes = 2 << 20  // body of a reply
	maxUnsent  = 1024     // batches of answers that wait to be written; then nothing more is read
)

// Server is a fake server.
type Server struct {
	listener net.Listener
	faults   plan
	done     chan struct{} // closed by Close
	closed   sync.Once
	running  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	world   world
	counts  [strikes]int // of requests that a fault may strike
	struck  int
	load    int       // sends and backward reads so far
	resumes time.Time // no answer is written before
	conns   map[net.Conn]bool
}

// Start starts a server on a free port of the loopback, with faults planted in it.
// It is closed when the test ends.
func Start(t testing.TB, faults ...Fault) *Server {
	t.Helper()
	if err := codec.Warm(); err != nil {
		t.Fatalf("fake server: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("fake server: %v", err)
	}
	s := &Server{listener: listener, done: make(chan struct{}), world: newWorld(), conns: map[net.Conn]bool{}}
	for _, f := range faults {
		f(&s.faults)
	}
	s.running.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Addr is where the server listens, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Struck is how often faults have struck so far; delays are not counted.
func (s *Server) Struck() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.struck
}

// Close stops the server and closes its connections.
func (s *Server) Close() {
	s.closed.Do(func() {
		close(s.done)
		_ = s.listener.Close()
		s.mu.Lock()
		for conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
	})
	s.running.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.admit(conn) {
			_ = conn.Close()
			return
		}
		answers := make(chan answer, maxUnsent)
		s.running.Go(func() { s.read(conn, answers) })
		s.running.Go(func() { s.write(conn, answers) })
	}
}

// admit notes a connection, unless the server is closed.
func (s *Server) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return false
	default:
		s.conns[conn] = true
		return true
	}
}

// answer is what is to be written, and not before due.
type answer struct {
	due    time.Time
	frames []byte
}

// read answers a connection's requests until it ends, or a fault ends it.
func (s *Server) read(conn net.Conn, answers chan<- answer) {
	defer close(answers)
	b := batch{server: s, cutter: codec.NewCutter(codec.DefaultLimits.Frame), decoder: codec.NewDecoder(codec.DefaultLimits)}
	buf := make([]byte, readBytes)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			frames, end := b.answer(buf[:n])
			answers <- answer{time.Now().Add(s.faults.delay), frames}
			if end {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// write writes answers when they are due, and closes the connection behind the last.
// Where it cannot be written to any more, it takes the rest for nothing.
func (s *Server) write(conn net.Conn, answers <-chan answer) {
	for a := range answers {
		s.sleep(a.due)
		s.sleep(s.resumption())
		_, _ = conn.Write(a.frames) // the reader sees the end as well
	}
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	_ = conn.Close()
}

func (s *Server) resumption() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resumes
}

// sleep waits for a time, or for the end of the server.
func (s *Server) sleep(until time.Time) {
	wait := time.Until(until)
	if wait <= 0 {
		return
	}
	select {
	case <-time.After(wait):
	case <-s.done:
	}
}

// batch answers what comes of one connection at once.
type batch struct {
	server  *Server
	cutter  codec.Cutter
	decoder *codec.Decoder
	replies [][]byte
	last    codec.Service // of the request before, in this batch
}

// answer carries requests out. end says that the connection ends behind the answers.
func (b *batch) answer(data []byte) (frames []byte, end bool) {
	b.replies, b.last = b.replies[:0], 0
	for !end {
		body, rest, err := b.cutter.Cut(data)
		if errors.Is(err, codec.ErrFrameLength) {
			b.replies = append(b.replies, codec.AppendError(nil, codec.StateTooLarge, "frame is empty or too large"))
			end = true
			break
		}
		if body == nil {
			break
		}
		data = rest
		end = b.one(body)
	}
	for _, reply := range b.replies {
		frames = append(frames, reply...)
	}
	return frames, end
}

// one carries one request out.
func (b *batch) one(body []byte) (end bool) {
	var req codec.Request
	if fault := b.decoder.Decode(body, &req); fault != nil {
		b.replies = append(b.replies, codec.AppendError(nil, fault.State, fault.Msg))
		return false
	}
	s := b.server
	s.mu.Lock()
	defer s.mu.Unlock()
	reply, end := s.handle(&req)
	if reply != nil {
		b.replies = append(b.replies, reply)
	}
	if n := len(b.replies); req.Service == codec.Send && b.last == codec.Send && n > 1 && s.strikes(swapReplies) {
		b.replies[n-2], b.replies[n-1] = b.replies[n-1], b.replies[n-2]
	}
	b.last = req.Service
	return end
}
