package shards

// Recent is a bounded map that forgets what was not used of late. It keeps two
// generations: what is put or found goes to the young one, and when that is
// full, the old one is dropped and the young becomes the old. It holds at most
// two generations and costs no more than a map, where an LRU's list would make
// the garbage collector walk an element for each entry. It belongs to one
// goroutine.
//
// Nothing is forgotten but by Trim, so that all that a drain put in stays until
// its commit.
type Recent[K comparable, V any] struct {
	max        int // entries of a generation
	young, old map[K]V
}

// NewRecent returns a map that holds at most about maxEntries entries.
func NewRecent[K comparable, V any](maxEntries int) *Recent[K, V] {
	return &Recent[K, V]{max: max(1, maxEntries/2), young: make(map[K]V)}
}

// Get returns what is remembered of k, and remembers it for longer.
func (r *Recent[K, V]) Get(k K) (V, bool) {
	v, ok := r.young[k]
	if !ok {
		if v, ok = r.old[k]; ok {
			r.young[k] = v
		}
	}
	return v, ok
}

// Put remembers v for k.
func (r *Recent[K, V]) Put(k K, v V) { r.young[k] = v }

// Trim forgets the old generation where the young one is full.
func (r *Recent[K, V]) Trim() {
	if len(r.young) >= r.max {
		r.rotate()
	}
}

func (r *Recent[K, V]) rotate() { r.young, r.old = make(map[K]V), r.young }

// Reset forgets everything.
func (r *Recent[K, V]) Reset() { r.young, r.old = make(map[K]V), nil }
