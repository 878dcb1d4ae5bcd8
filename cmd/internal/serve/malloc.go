//go:build cgo && linux

package serve

// With cgo, Pebble's block cache and memtables are the C library's, and glibc gives up to eight arenas a core to the
// threads that ask. Each keeps what was freed in it, and a cache that is full on one thread grows on another: a server's
// memory rose for as long as it was watched. One arena serves the few large blocks that are asked for. The threshold is glibc's own
// first one (mallopt(3)), in bytes; setting it keeps it from rising to the size of a memtable, which would then be cut from
// the heap and leave a hole there.
//
// Go's runtime starts threads, and they take arenas, before any Go code runs: so this is done by a constructor of the
// binary. A setting that glibc refused would cost memory only.

/*
#include <malloc.h>

#ifdef __GLIBC__
__attribute__((constructor)) static void keep_one_arena(void) {
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
}
#endif
*/
import "C"
