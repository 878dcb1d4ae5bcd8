package engine

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// Claim is one process's right to serve on an address. The loops bind with
// SO_REUSEPORT, which alone would let two servers share a port in silence.
type Claim struct {
	addr string
	held int // an abstract Unix socket named after the address: one process can bind it
}

// maxClaimTries bounds the ports tried where any will do: the kernel may choose
// one that another server has claimed and does not listen on yet.
const maxClaimTries = 16

// NewClaim finds out whether a server could listen on addr and holds the right to
// it until Release, or the process's end. It binds the port for a moment and does
// not listen, so that no client gets in early.
func NewClaim(addr string) (*Claim, error) {
	for tries := 1; ; tries++ {
		bound, err := probe(addr)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		c, err := hold(bound)
		if err == nil {
			return c, nil
		}
		if bound == addr || tries == maxClaimTries {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
}

func hold(addr string) (*Claim, error) {
	held, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	c := &Claim{addr: addr, held: held}
	if err := unix.Bind(held, &unix.SockaddrUnix{Name: "@throng/" + addr}); err != nil {
		c.Release()
		return nil, fmt.Errorf("another server is starting there: %w", err)
	}
	return c, nil
}

// Addr returns the address with its port, chosen where it was 0.
func (c *Claim) Addr() string { return c.addr }

// Release gives the right back.
func (c *Claim) Release() { _ = unix.Close(c.held) }

// probe binds addr as a listener would, but without SO_REUSEPORT, and returns it
// with its port. Nothing stays bound.
func probe(addr string) (string, error) {
	wanted, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return "", err
	}
	family, sockaddr := sockaddrOf(wanted)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open a socket: %w", err)
	}
	port, fault := bind(fd, sockaddr)
	if err := errors.Join(fault, unix.Close(fd)); err != nil {
		return "", err
	}
	host, _, err := net.SplitHostPort(addr)
	return net.JoinHostPort(host, strconv.Itoa(port)), err
}

// bind binds fd as a listener would be and returns the port.
func bind(fd int, to unix.Sockaddr) (int, error) {
	// Connections of an earlier server that are in TIME_WAIT are no obstacle.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, to); err != nil {
		return 0, err
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	switch bound := bound.(type) {
	case *unix.SockaddrInet4:
		return bound.Port, nil
	case *unix.SockaddrInet6:
		return bound.Port, nil
	}
	return 0, errors.New("the socket has no port")
}

func sockaddrOf(addr *net.TCPAddr) (family int, sockaddr unix.Sockaddr) {
	if ip := addr.IP.To4(); ip != nil {
		return unix.AF_INET, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(ip)}
	}
	v6 := &unix.SockaddrInet6{Port: addr.Port}
	copy(v6.Addr[:], addr.IP) // no IP: all addresses
	if zone, err := net.InterfaceByName(addr.Zone); err == nil {
		v6.ZoneId = uint32(zone.Index)
	}
	return unix.AF_INET6, v6
}
