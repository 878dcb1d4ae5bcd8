package start

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is a user of the system that a server runs as where it refuses to be
// root.
type account struct {
	name     string
	uid, gid uint32
}

// unprivileged is the account to run a server as that refuses to be root: nil
// where this process is not.
func unprivileged() (*account, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // no account is an answer: stay who we are
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return parseAccount(u)
		}
	}
	return nil, fmt.Errorf("neither user postgres nor user nobody: %w", ErrMissing)
}

func parseAccount(u *user.User) (*account, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user id of %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group id of %s: %w", u.Username, err)
	}
	return &account{name: u.Username, uid: uint32(uid), gid: uint32(gid)}, nil
}

func (a *account) credential() *syscall.Credential {
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// takes makes a file or directory the account's own.
func (a *account) takes(path string) error {
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %q to %s: %w", path, a.name, err)
	}
	return nil
}

// reaches says which directory on the way to dir the account may not pass.
func (a *account) reaches(dir string) error {
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at %q: %w", dir, err)
		}
		if !a.passes(info) {
			return fmt.Errorf("user %s, which the server must run as since it refuses to be root, may not pass %q: "+
				"choose another directory or chmod +x it", a.name, dir)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil
		}
		dir = parent
	}
}

func (a *account) passes(dir os.FileInfo) bool {
	mode := dir.Mode().Perm()
	owner := dir.Sys().(*syscall.Stat_t)
	switch {
	case owner.Uid == a.uid:
		return mode&0o100 != 0
	case owner.Gid == a.gid:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}
