package postgres

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// parking is where a connection waits while nothing is in flight. pgx reads only
// when an answer is due, so the end of an idle connection would go unseen: here its
// socket is watched. enter, leave and wake are called with the connection's lock
// held.
type parking struct {
	socket net.Conn
	raw    syscall.RawConn
	taken  bool
}

func newParking(socket net.Conn) (*parking, error) {
	if secure, ok := socket.(interface{ NetConn() net.Conn }); ok {
		socket = secure.NetConn()
	}
	source, ok := socket.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("postgres: a %T cannot be watched", socket)
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("postgres: watch the socket: %w", err)
	}
	return &parking{socket: socket, raw: raw}, nil
}

func (p *parking) enter() { p.taken = true }

// wake ends a wait, also one that is about to begin.
func (p *parking) wake() {
	if p.taken {
		p.taken = false
		_ = p.socket.SetReadDeadline(time.Unix(1, 0)) // fails where the socket is closed, which ends the wait too
	}
}

// leave lets the socket be read again.
func (p *parking) leave() {
	p.taken = false
	_ = p.socket.SetReadDeadline(time.Time{}) // fails where the socket is closed, which the next read tells
}

// wait returns when the server has said something, which is left to be read, or
// when it was woken. The connection's end is an error.
func (p *parking) wait() (spoken bool, err error) {
	n, err := p.peek()
	switch timeout, ok := errors.AsType[net.Error](err); {
	case ok && timeout.Timeout():
		return false, nil
	case err == nil && n == 0:
		err = io.EOF
	case err == nil:
		return true, nil
	}
	return false, fmt.Errorf("postgres: %w", err)
}

// peek waits until there is something to read and tells how much of it fits in a
// byte: 0 at the end.
func (p *parking) peek() (n int, err error) {
	var first [1]byte
	waited := p.raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if waited != nil {
		return 0, waited
	}
	return n, err
}
