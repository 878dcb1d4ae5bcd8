package serve

import (
	"testing"

	"github.com/alecthomas/kong"

	"throng/codec"
	"throng/engine"
	"throng/shards"
)

// The defaults of the flags are those of the packages, so that a server in a test
// and one on the command line are the same.
func TestFlagDefaultsAreThoseOfThePackages(t *testing.T) {
	var c Command
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	e := c.engineConfig(nil, nil, engine.DefaultConnections)
	if e.Limits != codec.DefaultLimits || int(c.MaxConnections.N) != engine.DefaultConnections ||
		e.InFlight != engine.DefaultInFlight || e.InFlightBytes != engine.DefaultInFlightBytes ||
		e.UnreadBytes != engine.DefaultUnreadBytes || e.BadRequests != engine.DefaultBadRequests ||
		e.FirstFrame != engine.DefaultFrameTimeout || e.PartialFrame != engine.DefaultFrameTimeout ||
		e.DrainTimeout != engine.DefaultDrainTimeout {
		t.Errorf("the engine's defaults are not those of the flags: %+v", e)
	}
	s := c.storeConfig(nil, shards.DefaultOpenFiles)
	if s.Memory != shards.DefaultMemory || s.MailboxRequests != shards.DefaultMailboxRequests ||
		s.MailboxBytes != shards.DefaultMailboxBytes || s.ReplyBytes != shards.DefaultReplyBytes || s.NoSync {
		t.Errorf("the store's defaults are not those of the flags: %+v", s)
	}
}
