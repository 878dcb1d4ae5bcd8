package agent

import (
	"fmt"

	"throng/bench"
	"throng/bench/report"
)

// divide gives each of n generators its share of connections, rate, requests,
// chats and users. Each makes chats and users of its own, so that each can verify
// what it has seen by itself.
func divide(all report.Settings, n int) ([]report.Settings, error) {
	if all.Workload == bench.WorkCapacity {
		return nil, fmt.Errorf("%w: a search for capacity is for one generator", bench.ErrConfig)
	}
	// Who registers or only connects has no chats, but the one that there must be.
	chatless := all.Workload == bench.WorkRegister || all.Workload == bench.WorkConnect
	if n < 1 || n > all.Connections || n > all.Chats && !chatless {
		return nil, fmt.Errorf("%w: %d connections and %d chats cannot be divided among %d agents",
			bench.ErrConfig, all.Connections, all.Chats, n)
	}
	shares := make([]report.Settings, n)
	for i := range shares {
		s := all
		s.Agents, s.Seed = n, all.Seed+uint64(i)
		s.Connections, s.Chats = part(all.Connections, i, n), part(all.Chats, i, n)
		if chatless {
			s.Chats = all.Chats
		}
		s.Users = max(part(all.Users, i, n), all.Members)
		s.Requests = int64(part(int(all.Requests), i, n))
		s.Rate = all.Rate / float64(n)
		shares[i] = s
	}
	if all.Requests > 0 && all.Requests < int64(n) {
		return nil, fmt.Errorf("%w: %d requests cannot be divided among %d agents", bench.ErrConfig, all.Requests, n)
	}
	return shares, nil
}

// part is the i-th of n parts of a whole, which differ by one at most.
func part(whole, i, n int) int { return whole*(i+1)/n - whole*i/n }
