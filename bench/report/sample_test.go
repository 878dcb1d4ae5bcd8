package report

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"throng/bench/target"
)

// The reports of these tests are made up, but in the proportions of real ones: latencies
// of a log-normal kind with a stall in the middle.

// sampled draws n latencies around a median given in milliseconds.
func sampled(rng *rand.Rand, n int, median, spread float64) *hdrhistogram.Histogram {
	h := NewHistogram()
	for range n {
		Record(h, int64(median*math.Exp(spread*rng.NormFloat64())*1e6))
	}
	return h
}

// sampleSeconds is the length of the made-up runs, and sampleWarmup their warm-up.
const (
	sampleSeconds = 32
	sampleWarmup  = 2
	stallAt       = 20
)

// sampleOver makes the seconds of a run, and the histogram of the measured ones.
func sampleOver(rng *rand.Rand, perS, median float64) ([]Second, *hdrhistogram.Histogram) {
	var seconds []Second
	all := NewHistogram()
	for i := range sampleSeconds {
		m, ok, failed := median*(1+.1*rng.NormFloat64()), perS*(1+.03*rng.NormFloat64()), int64(0)
		switch i {
		case 0:
			ok *= .6
		case stallAt:
			m, ok, failed = 40*median, perS*.2, int64(perS/100)
		case stallAt + 1:
			m, ok = 3*median, perS*1.7
		}
		h := sampled(rng, 3000, m, .45)
		if i >= sampleWarmup {
			all.Merge(h)
		}
		seconds = append(seconds, Second{
			At: float64(i + 1), Measured: i >= sampleWarmup, Due: int64(perS), OK: int64(ok), Errors: failed,
			P50: Quantile(h, 50), P99: Quantile(h, 99), Max: Quantile(h, 100),
			CPU: 1.1 + .1*rng.NormFloat64(), Resident: int64(90+i) << 20, Hdr: Encode(h),
		})
	}
	return seconds, all
}

// sample makes an open-loop run of three kinds on a local server.
func sample(kind string, seed uint64, perS, median float64) *Report {
	rng := rand.New(rand.NewPCG(seed, 1))
	seconds, due := sampleOver(rng, perS, median)
	service := Summarize(sampled(rng, 90_000, median*.9, .3))
	figures := func(name string, part float64) Figures {
		return Figures{
			Kind: name, Requests: int64(perS * 30 * part), OK: int64(perS*30*part) - int64(612*part), PerS: perS * part * .998,
			Errors: map[string]int64{"429": int64(600 * part), "lost": int64(12 * part)}, BytesOut: 96 << 20, BytesIn: 210 << 20, Messages: 12_300_000,
			Latency: Summarize(due), Service: &service,
		}
	}
	return &Report{
		Schema: Schema, Tool: Tool{Version: "0.4.0", Commit: "7db6616a", Go: "go1.26.0"},
		Started: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), Command: []string{"throng-bench", "mixed", "--rate", "50000"},
		Settings: Settings{
			Workload: "mixed", Target: kind, Connections: 50, Pipeline: 16, Rate: perS, Arrival: "poisson",
			Duration: 30 * time.Second, Warmup: 2 * time.Second, Ramp: time.Second, Chats: 1000, Users: 1000, Members: 10, Zipf: .99,
			SizeMin: 64, SizeMax: 1024, Mix: map[string]int{"send": 20, "read": 70, "receive": 10},
			Mode: "last", Count: 20, Fill: 100, Verify: true, Seed: seed,
		},
		Machine: Machine{CPU: "AMD EPYC 7B13", Cores: 2, Memory: 24 << 30, Kernel: "Linux 6.1.0-28-amd64", OS: "Debian GNU/Linux 12"},
		Server: Server{
			Info: target.Info{Kind: kind, Version: "0.4.0-12-g7db6616", Durability: "sync=always", Dense: true},
			Addr: "127.0.0.1:7101", Local: true, CPU: 33.6, Resident: 121 << 20, Peak: 140 << 20,
			Disk: &Disk{Writes: 1000, Bytes: 4096, P50: .13, P99: .42, Max: 3.1},
		},
		Load:    Load{Offered: perS, Achieved: perS * .998, CPU: 19.2, LagP99: .08, LagMax: 2.4, Unsent: 3},
		Elapsed: 30, Total: figures("total", 1),
		Kinds:   []Figures{figures("send", .2), figures("read", .7), figures("receive", .1)},
		Seconds: seconds,
		Verdict: &Verdict{
			OK: true, Sends: 300_120, Acked: 300_100, Unknown: 12, Found: 7, Reads: 1_200_300, Messages: 400_107, Chats: 1000, Seconds: 1.73,
		},
	}
}

// sampleFull is a run with everything that a report can show.
func sampleFull() *Report {
	r := sample("throng", 42, 50_000, .8)
	r.Verdict.OK, r.Verdict.Faults = false, 3
	r.Verdict.Examples = []string{
		"chat 17: index 204 was acknowledged with the text of <b>send</b> 9182, and the log has none there",
		"chat 17: a read that began after index 204 was acknowledged ends at 203",
		"chat 901: the text of index 3 is in the log twice, at 3 and at 5",
	}
	r.Verdict.Note = "800 of 1,000 chats are verified: the ledgers hold 20,000,000 operations at most"
	r.Curve = []Capacity{
		{Rate: 10_000, Achieved: 9_998, P50: .3, P99: 1.1, P999: 2.5, Held: true},
		{Rate: 20_000, Achieved: 19_990, P50: .35, P99: 1.6, P999: 4, Held: true},
		{Rate: 40_000, Achieved: 39_980, P50: .5, P99: 3.9, P999: 9, Held: true},
		{Rate: 80_000, Achieved: 71_200, P50: 31, P99: 420, P999: 810, Why: "89.0 % of the offered rate was reached"},
		{Rate: 60_000, Achieved: 59_900, P50: 1.1, P99: 31, P999: 60, Why: "p99 is 31.0 ms, not <20ms"},
		{Rate: 50_000, Achieved: 49_990, P50: .8, P99: 12, P999: 31, Held: true},
	}
	r.Idle = &Idle{Connections: 10_000, ConnectPerS: 8_123, BytesEach: 1890, ResidentStart: 30 << 20, ResidentIdle: 48 << 20, Dropped: 2}
	r.Warnings = []string{
		"3 requests were due and never sent: the server did not keep up, and the latencies of those that were are a lower bound",
	}
	r.Interrupted = true
	return r
}

// sampleClosed is a plain run of one kind in a closed loop.
func sampleClosed() *Report {
	r := sample("redis", 7, 120_000, .5)
	r.Settings.Workload, r.Settings.Rate, r.Settings.Arrival, r.Settings.Mix, r.Settings.Count = "send", 0, "", nil, 0
	r.Settings.Zipf, r.Settings.Ramp, r.Settings.SizeMax, r.Settings.Fill = 0, 0, 64, 0
	r.Kinds = r.Kinds[:1]
	r.Kinds[0].Service, r.Total.Service = nil, nil
	r.Kinds[0].Errors, r.Total.Errors = nil, nil
	r.Load = Load{Achieved: 119_000, CPU: 20}
	r.Verdict = nil
	r.Server.Local, r.Server.CPU, r.Server.Resident, r.Server.Peak, r.Server.Disk = false, 0, 0, 0, nil
	for i := range r.Seconds {
		r.Seconds[i].CPU, r.Seconds[i].Resident, r.Seconds[i].Due, r.Seconds[i].Errors = 0, 0, 0, 0
	}
	return r
}

// sampleGroups are three servers of three runs each.
func sampleGroups(t *testing.T) []Group {
	t.Helper()
	groups := []Group{{Label: "throng"}, {Label: "redis"}, {Label: "nats"}}
	for i := range groups {
		for run := range 3 {
			kind, perS, median := groups[i].Label, 50_000*math.Pow(.8, float64(i))+float64(run)*300, .8*float64(i+1)
			r := sample(kind, uint64(10*i+run), perS, median)
			r.Settings.Rate = 0
			r.Load.Offered = 0
			groups[i].Runs = append(groups[i].Runs, r)
		}
	}
	for _, r := range groups[1].Runs {
		r.Server.Version, r.Server.Durability = "7.0.15", "appendfsync=always"
	}
	for _, r := range groups[2].Runs {
		r.Server.Version, r.Server.Durability, r.Server.CPU = "2.15.2", "sync_interval=always", 58
	}
	return groups
}

// testRNG returns a generator of always the same numbers.
func testRNG() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
