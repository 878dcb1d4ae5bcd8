package power_test

import (
	"os"
	"syscall"
	"testing"

	"throng/bench/internal/realserver"
	"throng/codec"
)

// The environment of a process that writes through a mapping: see mapped.
const (
	mapVar     = "POWER_MAPPED_FILE"
	mapTextVar = "POWER_MAPPED_TEXT"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(mapVar); path != "" {
		if err := writeMapped(path, os.Getenv(mapTextVar)); err != nil {
			panic(err)
		}
		return
	}
	if err := codec.WarmAnswers(); err != nil {
		panic(err)
	}
	os.Exit(realserver.Main(m))
}

func writeMapped(path, text string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := syscall.Mmap(int(f.Fd()), 0, len(text), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	copy(p, text)
	return syscall.Munmap(p)
}
