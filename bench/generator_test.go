package bench_test

import (
	"fmt"
	"os"
	"testing"

	"throng/bench"
	"throng/bench/internal/noop"
	"throng/bench/target/throng"
)

func TestMain(m *testing.M) {
	noop.Respond()
	os.Exit(m.Run())
}

// BenchmarkGenerator measures what the whole generator can do, choices, texts, ledger and histograms included: it sends to
// a responder that does nothing but answer, a process of its own, in a closed loop. What counts is the generator's
// processor time, user and system, and not the time that passed:
//
//	go test ./bench -run '^$' -bench Generator -benchtime 5000000x
func BenchmarkGenerator(b *testing.B) {
	for _, pipeline := range []int{1, 16, 64} {
		for _, ledger := range []bool{false, true} {
			b.Run(fmt.Sprintf("pipeline=%d/ledger=%v", pipeline, ledger), func(b *testing.B) { generate(b, pipeline, ledger) })
		}
	}
}

func generate(b *testing.B, pipeline int, ledger bool) {
	config := small(bench.WorkSend)
	config.Connections, config.Pipeline, config.Requests, config.Verify = 50, pipeline, int64(b.N), ledger
	config.Chats, config.Users, config.Members, config.SizeMin, config.SizeMax = 1000, 1000, 10, 64, 64
	target, err := throng.New(noop.Start(b))
	if err != nil {
		b.Fatal(err)
	}
	config.Target = target
	r, err := bench.Run(b.Context(), config, nil)
	if ledger {
		err = nil // there is nothing to read back
	}
	if err != nil || r.Total.OK != config.Requests {
		b.Fatalf("error %v, %d of %d succeeded", err, r.Total.OK, config.Requests)
	}
	b.ReportMetric(float64(r.Total.OK)/r.Load.CPU, "requests/cpu-s")
	b.ReportMetric(r.Load.CPU*1e9/float64(r.Total.OK), "cpu-ns/request")
}
