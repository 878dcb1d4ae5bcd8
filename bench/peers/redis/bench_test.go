package redis_test

import (
	"testing"

	"throng/bench/internal/peertest"
	"throng/bench/peers/start"
	"throng/bench/target"
)

// BenchmarkClient is what this client costs the generator, at 16 requests in flight
// on each of 50 connections.
//
//	go test ./bench/peers/redis -run '^$' -bench Client -benchtime 500000x -count 3
func BenchmarkClient(b *testing.B) {
	for _, kind := range []target.Kind{target.Send, target.Read, target.Ping} {
		b.Run(kind.String()+"/appendfsync=everysec", func(b *testing.B) {
			r := open(b, serve(b, start.RedisOptions{Fsync: "everysec"}).URL)
			defer r.Close()
			peertest.Benchmark(b, r, kind)
		})
	}
}
