package system

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A listener of this process is found by the addresses that lead to it, and by no
// others.
func TestFindListener(t *testing.T) {
	for _, c := range []struct {
		listen   string
		find     []string
		findNone []string
	}{
		{"127.0.0.1:0", []string{"127.0.0.1:PORT", "localhost:PORT", "[::ffff:127.0.0.1]:PORT"}, []string{"127.0.0.9:PORT", "[::1]:PORT"}},
		{"127.0.0.7:0", []string{"127.0.0.7:PORT"}, []string{"127.0.0.1:PORT", "localhost:PORT"}},
		{"0.0.0.0:0", []string{"127.0.0.1:PORT", "127.0.0.9:PORT", "localhost:PORT"}, []string{"192.0.2.1:PORT", "example.org:PORT", "127.0.0.1", ":PORT"}},
	} {
		t.Run(c.listen, func(t *testing.T) {
			listener, err := net.Listen("tcp4", c.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
			for _, form := range c.find {
				addr := strings.Replace(form, "PORT", port, 1)
				if pid, ok := FindListener(addr); pid != os.Getpid() || !ok {
					t.Errorf("%s is held by %d, %v; want %d", addr, pid, ok, os.Getpid())
				}
			}
			for _, form := range c.findNone {
				addr := strings.Replace(form, "PORT", port, 1)
				if pid, ok := FindListener(addr); ok {
					t.Errorf("%s is said to be held by %d", addr, pid)
				}
			}
		})
	}
}

// A connection is no listener: a port that is only connected from is nobody's.
func TestFindListenerPassesConnectionsBy(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if pid, ok := FindListener(conn.LocalAddr().String()); ok {
		t.Errorf("%d is said to listen where it only connects from", pid)
	}
	listener.Close()
	if pid, ok := FindListener(listener.Addr().String()); ok {
		t.Errorf("%d is said to listen though it has stopped", pid)
	}
}

// What little-endian machines write there; the one that this runs on may be another.
func TestParseSockets(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: %s:1E61 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0 100 0 0 10 0
   1: %s:1E61 %s:9999 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 20 4 30 10 -1
   2: %s:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 13 1
   3: zz:0016 0:0 0A 0 0 0 0 0 14
   4: 00:XX 0:0 0A 0 0 0 0 0 15
   5: short 0A
`
	words := func(list ...[4]byte) (s string) { // as the kernel of this machine would
		for _, h := range list {
			s += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(h[:]))
		}
		return s
	}
	four, six := words([4]byte{127, 0, 0, 1}), words([4]byte{}, [4]byte{}, [4]byte{}, [4]byte{0, 0, 0, 1})
	got := parseSockets(fmt.Appendf(nil, table, four, four, four, six))
	want := []socket{
		{netip.MustParseAddrPort("127.0.0.1:7777"), "11"},
		{netip.MustParseAddrPort("[::1]:22"), "13"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
