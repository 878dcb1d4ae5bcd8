package power

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	requestBytes = 1 << 20   // of a write or read at most
	cacheTime    = time.Hour // the kernel may cache names and attributes: nobody else changes them
)

// Mount is a disk at a path.
type Mount struct {
	Disk   *Disk
	dir    string
	server *fuse.Server
	once   sync.Once
}

// NewMount shows a disk at dir, which must be there. Unmount ends it.
func NewMount(d *Disk, dir string) (*Mount, error) {
	fs := &bridge{RawFileSystem: fuse.NewDefaultRawFileSystem(), disk: d, listings: map[uint64][]fuse.DirEntry{}}
	server, err := fuse.NewServer(fs, dir, &fuse.MountOptions{
		FsName: "power", Name: "power", DirectMount: true, MaxWrite: requestBytes,
		DisableXAttrs: true, DisableReadDirPlus: true,
	})
	if err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	return &Mount{Disk: d, dir: dir, server: server}, nil
}

// Unmount takes the disk away; whoever has a file open on it gets errors. It may
// be called again.
func (m *Mount) Unmount() (err error) {
	m.once.Do(func() {
		m.Disk.Release()
		if err = m.server.Unmount(); err != nil {
			err = syscall.Unmount(m.dir, syscall.MNT_DETACH)
		}
	})
	return err
}

// bridge answers the kernel.
type bridge struct {
	fuse.RawFileSystem
	disk *Disk

	// Guarded by the disk's lock.
	listings   map[uint64][]fuse.DirEntry // of open directories
	lastHandle uint64
}

// enter takes the disk's lock, or says that the power is gone.
func (b *bridge) enter(cancel <-chan struct{}) bool {
	b.disk.mu.Lock()
	if !b.disk.cut {
		return true
	}
	hang := b.disk.hang
	b.disk.mu.Unlock()
	if hang {
		select {
		case <-cancel:
		case <-b.disk.released:
		}
	}
	return false
}

func (b *bridge) leave() { b.disk.mu.Unlock() }

// with finds a node and works on it under the disk's lock.
func (b *bridge) with(cancel <-chan struct{}, id uint64, work func(*node) fuse.Status) fuse.Status {
	if !b.enter(cancel) {
		return fuse.EIO
	}
	defer b.leave()
	n := b.disk.nodes[id]
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	return work(n)
}

// attr describes a node. Times are not kept.
func attr(n *node, out *fuse.Attr) {
	kind := uint32(syscall.S_IFREG)
	if n.dir {
		kind = syscall.S_IFDIR
	}
	*out = fuse.Attr{
		Ino: n.id, Mode: kind | n.perm, Nlink: n.links, Size: uint64(n.live.size),
		Blocks: uint64(len(n.live.blocks)) * blockBytes / sectorBytes, Blksize: blockBytes,
		Owner: fuse.Owner{Uid: uint32(syscall.Getuid()), Gid: uint32(syscall.Getgid())},
	}
}

// show hands a node to the kernel, which holds it until Forget.
func (b *bridge) show(n *node, out *fuse.EntryOut) {
	n.seen++
	b.disk.nodes[n.id] = n
	out.NodeId, out.Generation = n.id, 1
	out.SetEntryTimeout(cacheTime)
	out.SetAttrTimeout(cacheTime)
	attr(n, &out.Attr)
}

// Lookup finds a name.
func (b *bridge) Lookup(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return b.with(cancel, h.NodeId, func(dir *node) fuse.Status {
		n := dir.names[name]
		if n == nil {
			return fuse.ENOENT
		}
		b.show(n, out)
		return fuse.OK
	})
}

// Forget lets go of a node.
func (b *bridge) Forget(id, times uint64) {
	b.disk.mu.Lock()
	defer b.disk.mu.Unlock()
	n := b.disk.nodes[id]
	if n == nil || n == b.disk.root {
		return
	}
	n.seen -= min(times, n.seen)
	if n.seen == 0 {
		delete(b.disk.nodes, id)
	}
}

// GetAttr describes a node.
func (b *bridge) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return b.with(cancel, in.NodeId, func(n *node) fuse.Status {
		out.SetTimeout(cacheTime)
		attr(n, &out.Attr)
		return fuse.OK
	})
}

// SetAttr sets size and mode; times and owners are not kept.
func (b *bridge) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return b.with(cancel, in.NodeId, func(n *node) fuse.Status {
		if mode, ok := in.GetMode(); ok {
			n.perm = mode & 0o7777
		}
		if size, ok := in.GetSize(); ok {
			if errno := b.disk.resize(n, int64(size)); errno != 0 {
				return fuse.Status(errno)
			}
		}
		out.SetTimeout(cacheTime)
		attr(n, &out.Attr)
		return fuse.OK
	})
}

// make makes a node with a name.
func (b *bridge) make(parent *node, name string, dir bool, mode uint32, out *fuse.EntryOut) fuse.Status {
	if parent.names[name] != nil {
		return fuse.Status(syscall.EEXIST)
	}
	n := b.disk.newNode(dir, mode)
	n.links = 0
	parent.rename(change{{name, n}})
	b.show(n, out)
	return fuse.OK
}

// Mkdir makes a directory.
func (b *bridge) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return b.with(cancel, in.NodeId, func(parent *node) fuse.Status {
		return b.make(parent, name, true, in.Mode, out)
	})
}

// Create makes a file and opens it.
func (b *bridge) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return b.with(cancel, in.NodeId, func(parent *node) fuse.Status {
		return b.make(parent, name, false, in.Mode, &out.EntryOut)
	})
}

// Unlink takes a file's name away.
func (b *bridge) Unlink(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return b.with(cancel, h.NodeId, func(parent *node) fuse.Status {
		if parent.names[name] == nil {
			return fuse.ENOENT
		}
		parent.rename(change{{name, nil}})
		return fuse.OK
	})
}

// Rmdir takes an empty directory's name away.
func (b *bridge) Rmdir(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return b.with(cancel, h.NodeId, func(parent *node) fuse.Status {
		n := parent.names[name]
		if n == nil {
			return fuse.ENOENT
		}
		if len(n.names) > 0 {
			return fuse.Status(syscall.ENOTEMPTY)
		}
		parent.rename(change{{name, nil}})
		return fuse.OK
	})
}

// Rename renames within a directory, over what is there.
func (b *bridge) Rename(cancel <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	return b.with(cancel, in.NodeId, func(parent *node) fuse.Status {
		n := parent.names[from]
		switch {
		case in.Newdir != in.NodeId:
			return fuse.EXDEV
		case in.Flags != 0:
			return fuse.EINVAL
		case n == nil:
			return fuse.ENOENT
		case n == parent.names[to]:
			return fuse.OK
		}
		parent.rename(change{{to, n}, {from, nil}})
		return fuse.OK
	})
}

// Link gives a file one more name.
func (b *bridge) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return b.with(cancel, in.NodeId, func(parent *node) fuse.Status {
		n := b.disk.nodes[in.Oldnodeid]
		switch {
		case n == nil:
			return fuse.ENOENT
		case parent.names[name] != nil:
			return fuse.Status(syscall.EEXIST)
		}
		parent.rename(change{{name, n}})
		b.show(n, out)
		return fuse.OK
	})
}

// Open opens a file.
func (b *bridge) Open(cancel <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	return b.with(cancel, in.NodeId, func(n *node) fuse.Status {
		if in.Flags&syscall.O_TRUNC != 0 {
			return fuse.Status(b.disk.resize(n, 0))
		}
		return fuse.OK
	})
}

// Read reads a file.
func (b *bridge) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	var got []byte
	status := b.with(cancel, in.NodeId, func(n *node) fuse.Status {
		got = buf[:n.read(buf[:min(len(buf), int(in.Size))], int64(in.Offset))]
		return fuse.OK
	})
	return fuse.ReadResultData(got), status
}

// Write writes to a file; nothing of it is durable.
func (b *bridge) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	status := b.with(cancel, in.NodeId, func(n *node) fuse.Status {
		return fuse.Status(b.disk.write(n, data, int64(in.Offset)))
	})
	return uint32(len(data)), status
}

// Flush is a close: it promises nothing.
func (b *bridge) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

// Release is the last close.
func (b *bridge) Release(<-chan struct{}, *fuse.ReleaseIn) {}

// Fsync syncs a file's contents. It does the same for fdatasync, which keeps the size
// as well.
func (b *bridge) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return b.with(cancel, in.NodeId, func(n *node) fuse.Status {
		b.disk.sync(n)
		return fuse.OK
	})
}

// FsyncDir syncs a directory's names.
func (b *bridge) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return b.Fsync(cancel, in)
}

// keepSize is FALLOC_FL_KEEP_SIZE.
const keepSize = 1

// Fallocate extends a file with zeros. Space is not reserved.
func (b *bridge) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	return b.with(cancel, in.NodeId, func(n *node) fuse.Status {
		if in.Mode&^keepSize != 0 {
			return fuse.Status(syscall.EOPNOTSUPP)
		}
		if end := int64(in.Offset + in.Length); in.Mode == 0 && end > n.live.size {
			return fuse.Status(b.disk.resize(n, end))
		}
		return fuse.OK
	})
}

// OpenDir takes down a directory's names as they are.
func (b *bridge) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return b.with(cancel, in.NodeId, func(dir *node) fuse.Status {
		var list []fuse.DirEntry
		for name, n := range dir.names {
			kind := uint32(syscall.S_IFREG)
			if n.dir {
				kind = syscall.S_IFDIR
			}
			list = append(list, fuse.DirEntry{Name: name, Ino: n.id, Mode: kind})
		}
		slices.SortFunc(list, func(x, y fuse.DirEntry) int { return cmp.Compare(x.Name, y.Name) })
		b.lastHandle++
		b.listings[b.lastHandle], out.Fh = list, b.lastHandle
		return fuse.OK
	})
}

// ReadDir lists what OpenDir took down.
func (b *bridge) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return b.with(cancel, in.NodeId, func(*node) fuse.Status {
		list := b.listings[in.Fh]
		for i := int(in.Offset); i < len(list); i++ {
			list[i].Off = uint64(i + 1)
			if !out.AddDirEntry(list[i]) {
				break
			}
		}
		return fuse.OK
	})
}

// ReleaseDir forgets a listing.
func (b *bridge) ReleaseDir(in *fuse.ReleaseIn) {
	b.disk.mu.Lock()
	defer b.disk.mu.Unlock()
	delete(b.listings, in.Fh)
}

// StatFs reports a size and what of it is free.
func (b *bridge) StatFs(cancel <-chan struct{}, h *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return b.with(cancel, h.NodeId, func(*node) fuse.Status {
		free := uint64(diskBytes-b.disk.used) / blockBytes
		*out = fuse.StatfsOut{Bsize: blockBytes, Frsize: blockBytes, Blocks: diskBytes / blockBytes, Bfree: free, Bavail: free, NameLen: 255}
		return fuse.OK
	})
}
