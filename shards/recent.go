package shards

// Recent is a map bounded in bytes that forgets what was not used of late. It
// keeps two generations: what is put or found goes to the young one, and when
// that is full, the old one is dropped and the young becomes the old. It costs
// no more than a map, where an LRU's list would make the garbage collector walk
// an element for each entry. It belongs to one goroutine.
//
// Nothing is forgotten but by Trim, so that all that an actor put in stays until
// its commit.
type Recent[K comparable, V any] struct {
	max        int64 // bytes of a generation
	bytes      int64 // of the young one
	young, old map[K]kept[V]
}

type kept[V any] struct {
	value V
	bytes int64
}

// NewRecent returns a map that holds, after Trim, about maxBytes.
func NewRecent[K comparable, V any](maxBytes int64) *Recent[K, V] {
	r := &Recent[K, V]{max: max(1, maxBytes/2)}
	r.Reset()
	return r
}

// Get returns what is remembered of k, and remembers it for longer.
func (r *Recent[K, V]) Get(k K) (V, bool) {
	e, ok := r.young[k]
	if !ok {
		if e, ok = r.old[k]; ok {
			r.Put(k, e.value, e.bytes)
		}
	}
	return e.value, ok
}

// Put remembers v for k; bytes is what the entry costs in all.
func (r *Recent[K, V]) Put(k K, v V, bytes int64) {
	before := r.young[k].bytes
	r.young[k] = kept[V]{v, bytes}
	r.bytes += bytes - before
}

// Trim forgets the old generation where the young one is full.
func (r *Recent[K, V]) Trim() {
	if r.bytes >= r.max {
		r.young, r.old, r.bytes = make(map[K]kept[V]), r.young, 0
	}
}

// Reset forgets everything.
func (r *Recent[K, V]) Reset() { r.young, r.old, r.bytes = make(map[K]kept[V]), nil, 0 }
