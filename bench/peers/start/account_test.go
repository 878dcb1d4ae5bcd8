package start

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADirectoryThatTheServersUserMayNotPassIsNamed(t *testing.T) {
	stranger := &account{name: "stranger", uid: 1<<31 - 7, gid: 1<<31 - 7}
	closed := filepath.Join(t.TempDir(), "closed")
	inner := filepath.Join(closed, "inner")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := stranger.reaches(inner); err == nil || !strings.Contains(err.Error(), `"`+closed+`"`) {
		t.Errorf("error %v", err)
	}
	owner := &account{name: "owner", uid: uint32(os.Getuid()), gid: uint32(os.Getgid())}
	if err := owner.reaches(inner); err != nil {
		t.Error(err)
	}
	if err := stranger.reaches(string(filepath.Separator)); err != nil {
		t.Error(err)
	}
}
