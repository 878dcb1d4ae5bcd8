package engine

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// Claim finds out whether a server could listen on addr now, and returns addr
// with its port, chosen where it was 0. Nothing stays bound. It binds without
// SO_REUSEPORT, which the loops need and which would let two servers share a
// port in silence; and it does not listen, so that no client gets in early.
func Claim(addr string) (string, error) {
	wanted, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	family, sockaddr := sockaddrOf(wanted)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("listen: open a socket: %w", err)
	}
	port, err := bind(fd, sockaddr)
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return "", fmt.Errorf("listen on %s: %w", addr, err)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
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
	return unix.AF_INET6, v6
}
