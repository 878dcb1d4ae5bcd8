package bench_test

import (
	"context"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"throng/bench"
	"throng/bench/internal/fake"
	"throng/bench/report"
	"throng/bench/target/throng"
)

// small is a run of a moment, with a little of everything.
func small(workload string) bench.Config {
	return bench.Config{
		Settings: report.Settings{
			Workload: workload, Connections: 4, Pipeline: 8, Requests: 2000, Chats: 5, Users: 6, Members: 3,
			SizeMin: 40, SizeMax: 60, Mode: bench.ModeLast, Count: 10, Verify: true, Seed: 42,
		},
		Timeout: 5 * time.Second,
	}
}

type runner = func(context.Context, bench.Config, <-chan struct{}) (*report.Report, error)

// on runs against a fake server with faults planted in it.
func on(t *testing.T, server *fake.Server, config bench.Config, run runner) *report.Report {
	t.Helper()
	config.Target, config.Addr = connect(t, server), server.Addr()
	r, err := run(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func connect(t *testing.T, server *fake.Server) *throng.Target {
	t.Helper()
	target, err := throng.New(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

func measure(t *testing.T, config bench.Config, faults ...fake.Fault) (*report.Report, *fake.Server) {
	t.Helper()
	server := fake.Start(t, faults...)
	return on(t, server, config, bench.Run), server
}

// kind finds the figures of one kind of request.
func kind(t *testing.T, r *report.Report, name string) report.Figures {
	t.Helper()
	for _, f := range r.Kinds {
		if f.Kind == name {
			return f
		}
	}
	t.Fatalf("no %s was asked: %+v", name, r.Kinds)
	return report.Figures{}
}

// distribution is a report's histogram.
type distribution struct{ *hdrhistogram.Histogram }

func decode(hdr string) (distribution, error) {
	h, err := report.Decode(hdr)
	return distribution{h}, err
}

// above counts the latencies that are longer.
func (d distribution) above(limit time.Duration) (n int64) {
	for _, bar := range d.Distribution() {
		if bar.From > int64(limit) {
			n += bar.Count
		}
	}
	return n
}
