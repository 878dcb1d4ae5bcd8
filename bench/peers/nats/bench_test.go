package nats_test

import (
	"testing"

	"throng/bench/internal/peertest"
	"throng/bench/peers/start"
	"throng/bench/target"
)

// BenchmarkClient is what this client costs the generator, at 16 requests in flight
// on each of 50 connections.
//
//	go test ./bench/peers/nats -run '^$' -bench Client -benchtime 200000x -count 3
func BenchmarkClient(b *testing.B) {
	b.Run("send/sync_interval=2m", func(b *testing.B) {
		n := open(b, serve(b, start.NATSOptions{Sync: "2m"}).URL)
		defer n.Close()
		peertest.Benchmark(b, n, target.Send)
	})
}
