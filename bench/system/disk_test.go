package system

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"throng/bench/report"
)

// A probe measures writes of 4 KiB, and leaves nothing behind.
func TestFsyncProbe(t *testing.T) {
	dir := t.TempDir()
	disk, err := FsyncProbe(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if disk.Writes < 1 || disk.Writes > probeWrites || disk.Bytes != 4096 {
		t.Errorf("%d writes of %d bytes", disk.Writes, disk.Bytes)
	}
	if disk.P50 <= 0 || disk.P99 < disk.P50 || disk.Max < disk.P99 {
		t.Errorf("percentiles out of order: %+v", disk)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFsyncProbeFails(t *testing.T) {
	if _, err := FsyncProbe(t.Context(), filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FsyncProbe(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancel: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind after a cancel: %v, %v", left, err)
	}
}

// Percentiles are nearest ranks: each is one of the times.
func TestDiskOf(t *testing.T) {
	rising := func(n int) (times []time.Duration) {
		for i := range n {
			times = append(times, time.Duration(n-i)*time.Millisecond)
		}
		return times
	}
	for _, want := range []report.Disk{
		{Writes: 1, P50: 1, P99: 1, Max: 1},
		{Writes: 2, P50: 1, P99: 2, Max: 2},
		{Writes: 3, P50: 2, P99: 3, Max: 3},
		{Writes: 100, P50: 50, P99: 99, Max: 100},
		{Writes: 200, P50: 100, P99: 198, Max: 200},
	} {
		want.Bytes = probeBytes
		if got := diskOf(rising(want.Writes)); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
