package realserver_test

import (
	"net"
	"os"
	"testing"

	"throng/bench/internal/realserver"
)

func TestMain(m *testing.M) { os.Exit(realserver.Main(m)) }

func TestAServerServesUntilItIsStoppedAndAgainOnItsDirectory(t *testing.T) {
	s := realserver.Start(t, "--shards", "2")
	if s.Ready["sync"] != "always" || s.Ready["shards"] != "2" {
		t.Errorf("ready line %v, want sync=always shards=2", s.Ready)
	}
	connects := func(s *realserver.Server) bool {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}
	if !connects(s) {
		t.Error("a server that is ready does not listen")
	}
	if status := s.Stop(t); status != 0 {
		t.Errorf("a drained server ends with status %d", status)
	}
	if connects(s) {
		t.Error("a server that was stopped listens")
	}
	again := realserver.StartIn(t, s.Dir)
	if !connects(again) {
		t.Error("a server that was started again does not listen")
	}
	again.Kill(t)
}
