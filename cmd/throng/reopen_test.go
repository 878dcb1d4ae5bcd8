// A directory with many messages opens quickly after a kill, and the server stays within its memory: measured here,
// reported and not judged, for the figures in docs/operating.md.

package main_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	reopenConnections = 50
	reopenPipeline    = 64
	reopenChats       = 1000
)

// BenchmarkReopen fills a directory with THRONG_BENCH_MESSAGES messages (default 1,000,000) over 50 connections, kills
// the server and starts it again.
//
//	THRONG_BENCH_MESSAGES=10000000 go test ./cmd/throng -run '^$' -bench Reopen -benchtime 1x -timeout 30m
func BenchmarkReopen(b *testing.B) {
	messages := int64(1_000_000)
	if text := os.Getenv("THRONG_BENCH_MESSAGES"); text != "" {
		var err error
		messages, err = strconv.ParseInt(text, 10, 64)
		must(b, err)
	}
	for b.Loop() {
		s := start(b)
		c := s.dial(b)
		by := c.registerAll(b, 1)[0]
		chats := make([]int64, reopenChats)
		for i := range chats {
			chats[i] = c.group(b, by)
		}
		filling := time.Now()
		fill(b, s, by, chats, messages)
		b.ReportMetric(float64(messages)/time.Since(filling).Seconds(), "sends/s")
		b.ReportMetric(float64(s.residentBytes(b))/(1<<20), "MiB-filled")
		s.kill(b)

		opening := time.Now()
		s = startIn(b, s.dir)
		b.ReportMetric(time.Since(opening).Seconds(), "s-to-ready")
		b.ReportMetric(float64(s.residentBytes(b))/(1<<20), "MiB-ready")
		total := int64(0)
		c = s.dial(b)
		for _, chat := range chats {
			total += c.newest(b, by, chat, 1)[0].Index
		}
		if total < messages {
			b.Fatalf("%d messages of %d are left", total, messages)
		}
		b.ReportMetric(float64(s.residentBytes(b))/(1<<20), "MiB-read")
	}
}

// fill sends that many messages of 64 bytes, all acknowledged when it returns.
func fill(b *testing.B, s *server, by user, chats []int64, messages int64) {
	b.Helper()
	var left atomic.Int64
	left.Store(messages)
	var running sync.WaitGroup
	for n := range reopenConnections {
		running.Go(func() {
			conn, err := net.Dial("tcp", s.addr())
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			for round := n; left.Add(-reopenPipeline) > -reopenPipeline; round++ {
				if err := sendRound(conn, in, by, chats, round); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}

// sendRound sends one pipeline of messages and awaits the replies.
func sendRound(conn net.Conn, in io.Reader, by user, chats []int64, round int) error {
	text := strings.Repeat("m", 64)
	bodies := make([]string, reopenPipeline)
	for i := range bodies {
		bodies[i] = by.message(chats[(round*reopenPipeline+i*7)%len(chats)], text)
	}
	if _, err := conn.Write(frames(bodies...)); err != nil {
		return err
	}
	for range bodies {
		var length [4]byte
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		if !bytes.Contains(body, []byte(`"index":`)) {
			return fmt.Errorf("a send was answered %s", body)
		}
	}
	return nil
}
