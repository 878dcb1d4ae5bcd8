package power

import (
	"math/rand/v2"
	"sync"
	"syscall"
)

const (
	blockBytes  = 4096
	sectorBytes = 512
	diskBytes   = 2 << 30 // in blocks that were written; then ENOSPC
	tornOneIn   = 8       // unsynced blocks that survive in part
)

type block [blockBytes]byte

// node is a file or a directory. A Disk's lock guards it.
type node struct {
	id    uint64
	dir   bool
	perm  uint32
	links uint32
	seen  uint64 // the kernel's references

	live, kept content          // of a file: as it is, and as it was synced
	dirty      map[int]bool     // blocks written since the sync
	names      map[string]*node // of a directory: as they are
	keptNames  map[string]*node // as they were synced
	pending    []change         // since the sync, in order
}

// content is a file's bytes. A block that is nil, or is not there, is zeros; what
// lies behind the size in its last block is zeros too. kept shares blocks with
// live, so a block that is not dirty is never written in place.
type content struct {
	size   int64
	blocks []*block
}

// change is what one call did to a directory's names, which survives whole or not
// at all: a nil node takes a name away.
type change []naming

type naming struct {
	name string
	node *node
}

// Disk is the file system. Its methods are safe for concurrent use.
type Disk struct {
	mu     sync.Mutex
	root   *node
	nodes  map[uint64]*node // those that the kernel knows
	lastID uint64
	used   int64 // bytes of blocks made, those that are gone included
	syncs  int64
	cut    bool

	hang     bool          // what comes behind the cut waits for released, and fails then
	released chan struct{} // closed by Release
	release  sync.Once
}

// NewDisk returns an empty disk.
func NewDisk() *Disk {
	d := &Disk{nodes: map[uint64]*node{}, released: make(chan struct{})}
	d.root = d.newNode(true, 0o755)
	d.nodes[d.root.id] = d.root
	return d
}

func (d *Disk) newNode(dir bool, perm uint32) *node {
	d.lastID++
	n := &node{id: d.lastID, dir: dir, perm: perm & 0o7777, links: 1, dirty: map[int]bool{}}
	if dir {
		n.names, n.keptNames = map[string]*node{}, map[string]*node{}
	}
	return n
}

// Cut ends the power: from now on every request fails, or, with hang, waits for
// Release and fails then. Nothing that comes later survives.
func (d *Disk) Cut(hang bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut, d.hang = true, hang
}

// Release lets go of the requests that hang: a process that is killed can end.
func (d *Disk) Release() { d.release.Do(func() { close(d.released) }) }

// Syncs is the number of syncs that were carried out, of files and directories.
func (d *Disk) Syncs() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

// read copies bytes from an offset on, and returns how many there are.
func (n *node) read(p []byte, at int64) int {
	end := min(at+int64(len(p)), n.live.size)
	if at >= end {
		return 0
	}
	p = p[:end-at]
	for done := 0; done < len(p); {
		i, off := int((at+int64(done))/blockBytes), int((at+int64(done))%blockBytes)
		part := p[done:min(len(p), done+blockBytes-off)]
		if b := n.live.at(i); b != nil {
			copy(part, b[off:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return len(p)
}

func (c *content) at(i int) *block {
	if i >= len(c.blocks) {
		return nil
	}
	return c.blocks[i]
}

func (c *content) set(i int, b *block) {
	if i >= len(c.blocks) {
		if b == nil {
			return
		}
		c.blocks = append(c.blocks, make([]*block, i+1-len(c.blocks))...)
	}
	c.blocks[i] = b
}

// write writes into the live contents only.
func (d *Disk) write(n *node, p []byte, at int64) syscall.Errno {
	for done := 0; done < len(p); {
		i, off := int((at+int64(done))/blockBytes), int((at+int64(done))%blockBytes)
		b, errno := d.own(n, i)
		if errno != 0 {
			return errno
		}
		done += copy(b[off:], p[done:])
	}
	n.live.size = max(n.live.size, at+int64(len(p)))
	return 0
}

// own returns a block of n that may be written in place.
func (d *Disk) own(n *node, i int) (*block, syscall.Errno) {
	old := n.live.at(i)
	if n.dirty[i] && old != nil {
		return old, 0
	}
	if d.used+blockBytes > diskBytes {
		return nil, syscall.ENOSPC
	}
	d.used += blockBytes
	b := new(block)
	if old != nil {
		*b = *old
	}
	n.live.set(i, b)
	n.dirty[i] = true
	return b, 0
}

// resize truncates a file, or extends it with zeros.
func (d *Disk) resize(n *node, size int64) syscall.Errno {
	if size < n.live.size {
		first := int((size + blockBytes - 1) / blockBytes)
		for i := first; i < len(n.live.blocks); i++ {
			n.live.blocks[i], n.dirty[i] = nil, true
		}
		if off := size % blockBytes; off > 0 && n.live.at(first-1) != nil {
			b, errno := d.own(n, first-1)
			if errno != 0 {
				return errno
			}
			clear(b[off:])
		}
	}
	n.live.size = size
	return 0
}

// sync makes all of a node durable: a file's contents, a directory's names.
func (d *Disk) sync(n *node) {
	d.syncs++
	for i := range n.dirty {
		n.kept.set(i, n.live.at(i))
	}
	clear(n.dirty)
	n.kept.size = n.live.size
	for _, c := range n.pending {
		c.apply(n.keptNames)
	}
	n.pending = nil
}

// rename carries out a change of names, which is not durable before a sync of the
// directory.
func (n *node) rename(c change) {
	for _, x := range c {
		if old := n.names[x.name]; old != nil {
			old.links--
		}
		if x.node != nil {
			x.node.links++
		}
	}
	c.apply(n.names)
	n.pending = append(n.pending, c)
}

func (c change) apply(names map[string]*node) {
	for _, x := range c {
		if x.node == nil {
			delete(names, x.name)
		} else {
			names[x.name] = x.node
		}
	}
}

// Survivor draws a disk as it may be found when power is back. It is for a disk
// that was cut.
func (d *Disk) Survivor(rng *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &survey{from: d, to: NewDisk(), rng: rng, found: map[*node]*node{}}
	s.found[d.root] = s.to.root
	s.directory(d.root, s.to.root)
	return s.to
}

// Files is what is there, by path: for tests of small disks.
func (d *Disk) Files() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]string{}
	d.root.files("", all)
	return all
}

func (n *node) files(prefix string, all map[string]string) {
	for name, x := range n.names {
		if x.dir {
			x.files(prefix+name+"/", all)
			continue
		}
		text := make([]byte, x.live.size)
		x.read(text, 0)
		all[prefix+name] = string(text)
	}
}
