package agent

import (
	"errors"
	"testing"

	"throng/bench"
	"throng/bench/report"
)

// The shares add up to the whole, and no two have a seed in common.
func TestDivideAddsUp(t *testing.T) {
	all := report.Settings{
		Workload: bench.WorkSend, Connections: 50, Chats: 1000, Users: 100, Members: 10, Rate: 1000, Requests: 12345, Seed: 7,
	}
	for n := 1; n <= 7; n++ {
		shares, err := divide(all, n)
		if err != nil {
			t.Fatal(err)
		}
		var sum report.Settings
		seeds := map[uint64]bool{}
		for _, s := range shares {
			sum.Connections += s.Connections
			sum.Chats += s.Chats
			sum.Rate += s.Rate
			sum.Requests += s.Requests
			seeds[s.Seed] = true
			if s.Agents != n || s.Users < s.Members {
				t.Errorf("a share of %d: %+v", n, s)
			}
		}
		if sum.Connections != all.Connections || sum.Chats != all.Chats || sum.Requests != all.Requests || len(seeds) != n {
			t.Errorf("%d shares sum up to %+v, with %d seeds", n, sum, len(seeds))
		}
		if sum.Rate < all.Rate*.999 || sum.Rate > all.Rate*1.001 {
			t.Errorf("%d shares have a rate of %g", n, sum.Rate)
		}
	}
}

// Who only registers or connects has one chat, whatever the number of agents.
func TestDivideNeedsNoChatsWhereNoneAreUsed(t *testing.T) {
	for _, workload := range []string{bench.WorkRegister, bench.WorkConnect} {
		shares, err := divide(report.Settings{Workload: workload, Connections: 50, Chats: 1, Users: 1, Members: 1, Requests: 50}, 3)
		if err != nil || shares[2].Chats != 1 || shares[2].Connections == 0 {
			t.Errorf("%s: %+v, %v", workload, shares, err)
		}
	}
}

func TestDivideRefusesWhatCannotBeDivided(t *testing.T) {
	whole := report.Settings{Workload: bench.WorkSend, Connections: 3, Chats: 5, Users: 1, Members: 1}
	few, search := whole, whole
	few.Requests, search.Workload = 2, bench.WorkCapacity
	for name, c := range map[string]struct {
		all report.Settings
		n   int
	}{
		"more agents than connections": {whole, 4},
		"no agents":                    {whole, 0},
		"more agents than requests":    {few, 3},
		"a search":                     {search, 2},
	} {
		if _, err := divide(c.all, c.n); !errors.Is(err, bench.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
