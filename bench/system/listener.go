package system

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// FindListener returns the process that listens on a TCP address of this machine's
// loopback, host and port, such as "127.0.0.1:7777" or "localhost:7777". It is the
// first by its id of those that hold the socket: a parent before its children. ok is
// false where there is none, where the address is not on the loopback, and where
// this process may not look, as into those of other users.
func FindListener(addr string) (pid int, ok bool) {
	hosts, port, ok := loopback(addr)
	if !ok {
		return 0, false
	}
	for _, inode := range listeners(hosts, port) {
		if pid, ok := holder("socket:[" + inode + "]"); ok {
			return pid, true
		}
	}
	return 0, false
}

// loopback reads an address. "localhost" is both of its kinds.
func loopback(addr string) (hosts []netip.Addr, port uint16, ok bool) {
	host, number, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, 0, false
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil, 0, false
	}
	if host == "localhost" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, uint16(n), true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Unmap().IsLoopback() {
		return nil, 0, false
	}
	return []netip.Addr{ip.Unmap()}, uint16(n), true
}

// listeners returns the inodes of the sockets that take connections to one of the
// hosts: those bound to it first, then those bound to any address.
func listeners(hosts []netip.Addr, port uint16) []string {
	var exact, wildcard []string
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for _, s := range parseSockets(contents(path)) {
			switch {
			case s.addr.Port() != port:
			case slices.Contains(hosts, s.addr.Addr()):
				exact = append(exact, s.inode)
			case s.addr.Addr().IsUnspecified():
				wildcard = append(wildcard, s.inode)
			}
		}
	}
	return append(exact, wildcard...)
}

// socket is one that listens.
type socket struct {
	addr  netip.AddrPort // IPv4 where it can be
	inode string
}

// The columns of /proc/net/tcp, and the state that listens.
const (
	tcpLocal   = 1
	tcpState   = 3
	tcpInode   = 9
	tcpListens = "0A"
)

// parseSockets reads /proc/net/tcp or tcp6.
func parseSockets(table []byte) (list []socket) {
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		columns := strings.Fields(lines.Text())
		if len(columns) <= tcpInode || columns[tcpState] != tcpListens {
			continue // the heading, too
		}
		if addr, ok := parseSocketAddr(columns[tcpLocal]); ok {
			list = append(list, socket{addr, columns[tcpInode]})
		}
	}
	return list
}

// parseSocketAddr reads an address as /proc/net/tcp has it:
//
//	0100007F:1E61
//	^ 4 bytes, or 4 times 4, each 4 the machine's own way round
//	         ^ the port, big-endian
func parseSocketAddr(text string) (addr netip.AddrPort, ok bool) {
	host, number, _ := strings.Cut(text, ":")
	port, err := strconv.ParseUint(number, 16, 16)
	if err != nil {
		return addr, false
	}
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return addr, false
	}
	for word := range slices.Chunk(raw, 4) {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	ip, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), ok
}

// holder returns the first process that has a file of that name open.
func holder(file string) (pid int, ok bool) {
	for _, pid := range processes() {
		fds, err := os.ReadDir(filepath.Join(processDir(pid), "fd"))
		if err != nil {
			continue // it has ended, or is another user's
		}
		for _, fd := range fds {
			if name, err := os.Readlink(filepath.Join(processDir(pid), "fd", fd.Name())); err == nil && name == file {
				return pid, true
			}
		}
	}
	return 0, false
}

// processes returns the ids of all processes, rising.
func processes() (list []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			list = append(list, pid)
		}
	}
	slices.Sort(list)
	return list
}
