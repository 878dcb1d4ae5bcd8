package hostile_test

import (
	"os"
	"testing"

	"throng/bench/internal/realserver"
	"throng/codec"
)

func TestMain(m *testing.M) {
	if err := codec.WarmAnswers(); err != nil {
		panic(err)
	}
	os.Exit(realserver.Main(m))
}
