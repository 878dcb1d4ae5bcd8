package noop

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// The variables of a bare responder: that a test binary is one, and the file to sync.
const (
	bareVariable = "THRONG_TEST_BARE"
	logVariable  = "THRONG_TEST_BARE_LOG"
)

const (
	bareEvents   = 128      // taken up in one round
	bareLogBytes = 64 << 20 // written before, and then over and over again
)

// bare is a responder that does what any server must do whose success means synced, and
// nothing else: one thread reads what is ready, once from each connection, appends it to a
// file, syncs that once for all, and answers. It neither decodes nor stores nor hands
// over anything. What it makes is what this machine's kernel lets one thread make.
type bare struct {
	poll   int
	listen int
	conns  map[int]*bareConn
	dirty  []*bareConn // have been answered in this round

	log     *os.File // nil: nothing is synced
	logged  []byte   // of this round
	written int64
}

type bareConn struct {
	fd    int
	in    []byte
	held  int
	out   []byte
	index int64
}

// respondBare makes this process a bare responder; it returns only an error.
func respondBare(log string) error {
	runtime.LockOSThread()
	b := &bare{conns: make(map[int]*bareConn)}
	if log != "" {
		if err := b.openLog(log); err != nil {
			return err
		}
	}
	addr, err := b.open()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(os.Stdout, addr)
	events := make([]unix.EpollEvent, bareEvents)
	for {
		n, err := unix.EpollWait(b.poll, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if err := b.round(events[:n]); err != nil {
			return err
		}
	}
}

// openLog writes the whole file once, so that to sync it later changes no metadata.
func (b *bare) openLog(name string) (err error) {
	if b.log, err = os.Create(name); err != nil {
		return err
	}
	if _, err = b.log.Write(make([]byte, bareLogBytes)); err != nil {
		return err
	}
	return b.log.Sync()
}

func (b *bare) open() (addr string, err error) {
	if b.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return "", err
	}
	if b.listen, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return "", err
	}
	if err := unix.Bind(b.listen, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	if err := unix.Listen(b.listen, unix.SOMAXCONN); err != nil {
		return "", err
	}
	at, err := unix.Getsockname(b.listen)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port), b.watch(b.listen)
}

func (b *bare) watch(fd int) error {
	return unix.EpollCtl(b.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (b *bare) round(events []unix.EpollEvent) error {
	b.dirty, b.logged = b.dirty[:0], b.logged[:0]
	for _, e := range events {
		if int(e.Fd) == b.listen {
			if err := b.accept(); err != nil {
				return err
			}
		} else if !b.read(b.conns[int(e.Fd)]) {
			delete(b.conns, int(e.Fd))
			if err := unix.Close(int(e.Fd)); err != nil {
				return err
			}
		}
	}
	if err := b.sync(); err != nil {
		return err
	}
	for _, c := range b.dirty {
		_, _ = unix.Write(c.fd, c.out) // who does not take it ends the benchmark by his patience
		c.out = c.out[:0]
	}
	return nil
}

func (b *bare) accept() error {
	fd, _, err := unix.Accept4(b.listen, unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	b.conns[fd] = &bareConn{fd: fd, in: make([]byte, bufferBytes)}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	return b.watch(fd)
}

// read takes what one read brings and notes the answers; false: the connection is over.
func (b *bare) read(c *bareConn) bool {
	n, err := unix.Read(c.fd, c.in[c.held:])
	if err != nil || n <= 0 {
		return false
	}
	c.held += n
	var rest []byte
	c.out, rest = answerAll(c.out, c.in[:c.held], &c.index)
	if len(c.out) > 0 {
		b.dirty = append(b.dirty, c)
		b.logged = append(b.logged, c.in[:c.held-len(rest)]...)
	}
	c.held = copy(c.in, rest)
	return true
}

func (b *bare) sync() error {
	if b.log == nil || len(b.logged) == 0 {
		return nil
	}
	if b.written+int64(len(b.logged)) > bareLogBytes {
		b.written = 0
	}
	if _, err := b.log.WriteAt(b.logged, b.written); err != nil {
		return err
	}
	b.written += int64(len(b.logged))
	return unix.Fdatasync(int(b.log.Fd()))
}
