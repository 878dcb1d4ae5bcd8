package postgres_test

import (
	"testing"

	"throng/bench/internal/peertest"
	"throng/bench/peers/start"
	"throng/bench/target"
)

// BenchmarkClient is what this client costs the generator, at 16 requests in flight
// on each of 50 connections.
//
//	go test ./bench/peers/postgres -run '^$' -bench Client -benchtime 30000x -count 3
func BenchmarkClient(b *testing.B) {
	for _, kind := range []target.Kind{target.Send, target.Read, target.Ping} {
		b.Run(kind.String()+"/synchronous_commit=off", func(b *testing.B) {
			p := open(b, serve(b, start.PostgresOptions{SynchronousCommit: "off"}).URL)
			defer p.Close()
			peertest.Benchmark(b, p, kind)
		})
	}
}
