package throng

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"throng/bench/target"
	"throng/codec"
)

// eventsAtOnce is how many connections one wake-up serves at most; the others are
// served by the next.
const eventsAtOnce = 256

// loops is a Target's event loops. A loop begins with its first connection and
// ends with its last, so that an idle Target has none.
type loops struct {
	mu      sync.Mutex // guards running and the conns of each, and is held while a socket joins a loop
	running []*loop
}

// loopsFor is how many loops share the connections: one for two processors. The
// server and the runner's own work want some too, and a loop that serves more
// connections finds more to do at each wake-up: on two processors two loops cost
// half as much again as one.
func loopsFor(processors int) int { return max(1, processors/2) }

// loop serves connections: it alone reads from them, calls their sinks, and closes
// their sockets. Its sockets are registered once, edge-triggered, for all that can
// happen, so that nothing is ever asked of epoll but to wait.
type loop struct {
	home  *loops
	poll  int
	conns map[int32]*conn // by descriptor

	inbox inbox // owned by run
}

// inbox is what answers are read with. All connections of a loop share it: it stays
// in the processor's cache, and ten thousand of them need no more of it than one.
type inbox struct {
	buf      []byte
	answer   codec.Answer
	replies  []target.Reply
	shown    []codec.Shown
	messages []target.Message // the pages of replies
	seen     seen
}

// join hands a connection to the loop that has the fewest.
func (ls *loops) join(c *conn) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, err := ls.least()
	if err != nil {
		return err
	}
	event := unix.EpollEvent{Fd: int32(c.fd), Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET}
	if err := unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, c.fd, &event); err != nil {
		if len(l.conns) == 0 {
			l.stop()
		}
		return os.NewSyscallError("epoll_ctl", err)
	}
	l.conns[event.Fd] = c
	if len(l.conns) == 1 {
		go l.run()
	}
	return nil
}

// least is the loop with the fewest connections, or one that does not run yet. Its
// caller holds mu.
func (ls *loops) least() (*loop, error) {
	if len(ls.running) < loopsFor(runtime.GOMAXPROCS(0)) {
		poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return nil, os.NewSyscallError("epoll_create", err)
		}
		l := &loop{home: ls, poll: poll, conns: make(map[int32]*conn), inbox: inbox{buf: make([]byte, readBytes)}}
		ls.running = append(ls.running, l)
		return l, nil
	}
	least := ls.running[0]
	for _, l := range ls.running[1:] {
		if len(l.conns) < len(least.conns) {
			least = l
		}
	}
	return least, nil
}

// run serves the connections until there is none.
func (l *loop) run() {
	events := make([]unix.EpollEvent, eventsAtOnce)
	for {
		n, err := unix.EpollWait(l.poll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic("throng: epoll_wait: " + err.Error())
		}
		for i := range max(n, 0) {
			if last := l.serve(&events[i]); last {
				return
			}
		}
	}
}

// serve does what one event is about, and reports whether the loop has ended with
// it. An event may be late, of a descriptor that was closed within the same
// wake-up and is another's now: nothing is done on the word of an event but to
// read and to write, and both may find nothing to do.
func (l *loop) serve(event *unix.EpollEvent) (last bool) {
	l.home.mu.Lock()
	c := l.conns[event.Fd]
	l.home.mu.Unlock()
	if c == nil {
		return false
	}
	err := c.flush()
	if err == nil && event.Events&^unix.EPOLLOUT != 0 {
		err = c.takeIn(&l.inbox, event.Events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0)
	}
	if err == nil {
		return false
	}
	last = l.leave(c, err)
	c.sink.Lost(c.why)
	return last
}

// leave closes a connection's socket, and reports whether the loop has ended with
// it.
func (l *loop) leave(c *conn, err error) (last bool) {
	l.home.mu.Lock()
	defer l.home.mu.Unlock()
	delete(l.conns, int32(c.fd)) // before another connection can have the descriptor
	c.close(err)
	if len(l.conns) > 0 {
		return false
	}
	l.stop()
	return true
}

// stop takes a loop without connections out of the list. Its caller holds home.mu.
func (l *loop) stop() {
	for i, other := range l.home.running {
		if other == l {
			l.home.running = append(l.home.running[:i], l.home.running[i+1:]...)
			break
		}
	}
	_ = unix.Close(l.poll)
}

// socket is a descriptor of a stream that never waits: unix.EAGAIN says that it
// would have to.
type socket int

// newSocket takes a connection's socket away from Go's own poller.
func newSocket(conn net.Conn) (s socket, err error) {
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	outside := raw.Control(func(fd uintptr) {
		var copied int
		copied, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		s = socket(copied)
	})
	if outside != nil {
		return 0, outside
	}
	if err != nil {
		return 0, os.NewSyscallError("fcntl", err)
	}
	return s, nil
}

// Read reads once; 0 bytes without an error are the end of the stream.
func (s socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), p)
		switch {
		case err == nil && n > 0:
			return n, nil
		case err == nil:
			return 0, errHungUp
		case !errors.Is(err, unix.EINTR):
			return 0, err
		}
	}
}

// write writes as much as there is room for and returns what is left. Where
// something is, epoll will tell when there is room again.
func (s socket) write(out []byte) (rest []byte, err error) {
	for len(out) > 0 {
		n, err := unix.Write(int(s), out)
		switch {
		case err == nil:
			out = out[n:]
		case errors.Is(err, unix.EAGAIN):
			return out, nil
		case !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("write: %w", err)
		}
	}
	return nil, nil
}
