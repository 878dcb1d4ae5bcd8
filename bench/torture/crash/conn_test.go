package crash_test

import (
	"testing"

	"throng/bench/torture/wire"
	"throng/codec"
)

// ask is Ask of a server that is not going to end.
func ask(t *testing.T, c *wire.Conn, requests [][]byte, see func(i int, a *codec.Answer)) {
	t.Helper()
	if err := c.Ask(requests, see); err != nil {
		t.Fatal(err)
	}
}
