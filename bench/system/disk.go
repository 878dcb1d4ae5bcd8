package system

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"throng/bench/report"
)

// What a probe of a disk does at most: it ends at whichever comes first.
const (
	probeWrites = 200
	probeBytes  = 4 << 10
	probeTime   = time.Second
)

// FsyncProbe measures what it costs to write 4 KiB and have them on the disk, by
// fdatasync, in a file of its own in dir, which it removes. The disk should be idle.
// The file has its size and its blocks beforehand, so that a sync writes data alone,
// as that of a log that is used again: it is the least that a durable
// acknowledgement can cost there. At most 200 writes are measured, or a second.
func FsyncProbe(ctx context.Context, dir string) (report.Disk, error) {
	f, err := os.CreateTemp(dir, "fsync-probe-*")
	if err != nil {
		return report.Disk{}, fmt.Errorf("probe the disk: %w", err)
	}
	// It is nobody's once it is unlinked, whatever becomes of this process.
	removed := os.Remove(f.Name())
	times, err := probe(ctx, f)
	for _, also := range []error{removed, f.Close()} {
		if err == nil {
			err = also
		}
	}
	if err != nil {
		return report.Disk{}, fmt.Errorf("probe the disk of %q: %w", dir, err)
	}
	return diskOf(times), nil
}

// probe returns how long each write took, one at least.
func probe(ctx context.Context, f *os.File) (times []time.Duration, err error) {
	block := make([]byte, probeBytes)
	rand.Read(block) // never fails; not to be compressed, or taken for a hole
	for i := range probeWrites {
		if _, err := f.WriteAt(block, int64(i)*probeBytes); err != nil {
			return nil, err
		}
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	for start := time.Now(); len(times) < probeWrites && time.Since(start) < probeTime; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		began := time.Now()
		if _, err := f.WriteAt(block, int64(len(times))*probeBytes); err != nil {
			return nil, err
		}
		if err := datasync(f); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}

func datasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

// diskOf sums up the times of writes, of which there is one at least.
func diskOf(times []time.Duration) report.Disk {
	slices.Sort(times)
	rank := func(percent int) float64 { // the nearest: the least that so many are not above
		return milliseconds(times[(len(times)*percent+99)/100-1])
	}
	return report.Disk{
		Writes: len(times), Bytes: probeBytes,
		P50: rank(50), P99: rank(99), Max: rank(100),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
