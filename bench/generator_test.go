package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"throng/bench"
	"throng/bench/internal/noop"
	"throng/bench/internal/realserver"
	"throng/bench/target/throng"
)

func TestMain(m *testing.M) {
	noop.Respond()
	os.Exit(realserver.Main(m))
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

// BenchmarkFloor compares the server with one that does next to nothing: one thread that reads, appends to a file, syncs
// and answers. What that makes is the floor that the kernel and the disk lay under a send, and what the server adds is
// its own. Compare the neighbours of one run:
//
//	go test ./bench -run '^$' -bench Floor -benchtime 400000x
func BenchmarkFloor(b *testing.B) {
	for _, pipeline := range []int{1, 16, 64} {
		for _, sync := range []string{"always", "off"} {
			name := fmt.Sprintf("pipeline=%d/sync=%s/", pipeline, sync)
			b.Run(name+"bare", func(b *testing.B) {
				log := ""
				if sync == "always" {
					log = filepath.Join(b.TempDir(), "log")
				}
				generateFor(b, noop.StartBare(b, log), pipeline, false)
			})
			b.Run(name+"throng", func(b *testing.B) {
				generateFor(b, realserver.Start(b, "--sync", sync).Addr(), pipeline, false)
			})
		}
	}
}

func generate(b *testing.B, pipeline int, ledger bool) {
	generateFor(b, noop.Start(b), pipeline, ledger)
}

func generateFor(b *testing.B, addr string, pipeline int, ledger bool) {
	config := small(bench.WorkSend)
	config.Connections, config.Pipeline, config.Requests, config.Verify = 50, pipeline, int64(b.N), ledger
	config.Chats, config.Users, config.Members, config.SizeMin, config.SizeMax = 1000, 1000, 10, 64, 64
	target, err := throng.New(addr)
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
	b.ReportMetric(float64(r.Total.OK)/r.Elapsed, "requests/s")
	b.ReportMetric(float64(r.Total.OK)/r.Load.CPU, "requests/cpu-s")
	b.ReportMetric(r.Load.CPU*1e9/float64(r.Total.OK), "cpu-ns/request")
}
