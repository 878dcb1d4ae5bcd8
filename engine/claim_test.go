package engine

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// A claim tells whether a server could listen, and on which port; nobody else can
// have it until it is released, and nobody can connect to it.
func TestClaim(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "localhost:0", "[::1]:0", ":0"} {
		claim, err := NewClaim(addr)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		got := claim.Addr()
		if _, err := NewClaim(got); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s is claimed, and the second claim says %v", got, err)
		}
		wantHost, _, _ := net.SplitHostPort(addr)
		if host, port, err := net.SplitHostPort(got); err != nil || host != wantHost || port == "0" {
			t.Errorf("%s: claimed %q", addr, got)
		}
		if conn, err := net.Dial("tcp", got); err == nil {
			conn.Close()
			t.Errorf("%s: a client got in", got)
		}
		l, err := net.Listen("tcp", got)
		claim.Release()
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		if _, err := NewClaim(got); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s is in use, and the claim says %v", got, err)
		}
		l.Close()
	}
	for _, addr := range []string{"", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:70000", "192.0.2.1:0"} {
		if got, err := NewClaim(addr); err == nil {
			t.Errorf("%q: claimed %q", addr, got.Addr())
		}
	}
}

// Where any port will do, one that another server has claimed and does not listen
// on yet is no obstacle.
func TestClaimOfAnyPort(t *testing.T) {
	t.Parallel()
	const others = 3000 // a tenth of the ports that the kernel chooses from
	for range others {
		claim, err := NewClaim("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(claim.Release)
	}
}
