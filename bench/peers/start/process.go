package start

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child that ends when this process does.
type process struct {
	pid    int
	log    *tail
	exited chan struct{}

	mu    sync.Mutex // guards gone: the pid is the child's only until it was waited for
	gone  bool
	child *exec.Cmd
}

// launch starts a plan's program. What it prints goes to the log.
func launch(p *plan, dir string, arguments []string) (*process, error) {
	child := exec.Command(p.program, arguments...) //nolint:noctx // it outlives the call; stop and kill end it
	child.Dir = dir
	log := &tail{marker: p.ready, ready: make(chan struct{})}
	child.Stdout, child.Stderr = log, log
	child.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // an interrupt from the terminal is for us: we stop it
		Pdeathsig: syscall.SIGKILL,
	}
	if p.user != nil {
		child.SysProcAttr.Credential = p.user.credential()
	}
	r := &process{log: log, exited: make(chan struct{}), child: child}
	started := make(chan error, 1)
	go r.attend(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run %s: %w", p.program, err)
	}
	return r, nil
}

// attend starts the child and waits for it on one thread: the kernel takes the end
// of the thread that started a child for the death of the parent.
func (r *process) attend(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := r.child.Start(); err != nil {
		started <- err
		return
	}
	r.pid = r.child.Process.Pid
	started <- nil
	_ = r.child.Wait() // how it ended is in its log
	r.mu.Lock()
	r.gone = true
	r.mu.Unlock()
	close(r.exited)
}

// await waits until the child says in its log that it serves.
func (r *process) await(ctx context.Context, atMost time.Duration) error {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-r.log.ready:
		return nil
	case <-r.exited:
		return fmt.Errorf("%s ended before it served", r.child.Path)
	case <-timer.C:
		return fmt.Errorf("%s does not serve after %v", r.child.Path, atMost)
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", r.child.Path, context.Cause(ctx))
	}
}

// kill ends the child at once and waits for its end. It reports whether the child
// had ended before.
func (r *process) kill() (before bool) {
	before = !r.signal(syscall.SIGKILL)
	<-r.exited
	return before
}

// stop asks the child to end, and ends it when ctx is done. SIGINT is what all
// three servers take for: finish what is being done, wait for no client.
func (r *process) stop(ctx context.Context) {
	r.signal(syscall.SIGINT)
	select {
	case <-r.exited:
	case <-ctx.Done():
		r.kill()
	}
}

// signal reports whether the child was there to be signalled.
func (r *process) signal(s syscall.Signal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return false
	}
	return r.child.Process.Signal(s) == nil
}

// logBytes is how much of a log's end is kept.
const logBytes = 16 << 10

// tail keeps the end of a log and watches it for the line that says that the
// server serves.
type tail struct {
	marker string
	ready  chan struct{} // closed when the marker has been seen

	mu   sync.Mutex
	text string
	seen bool
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text += string(p)
	if !t.seen && strings.Contains(t.text, t.marker) {
		t.seen = true
		close(t.ready)
	}
	if excess := len(t.text) - logBytes; excess > 0 {
		t.text = t.text[excess:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}
