package disk_test

import (
	"os"
	"testing"

	"throng/bench/internal/realserver"
)

func TestMain(m *testing.M) { os.Exit(realserver.Main(m)) }
