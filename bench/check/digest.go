package check

// Digest returns the digest of one message. The digest of several is the sum of
// theirs, modulo 2^64, in any order: that of a range of the log is a difference of
// two sums from its beginning, and so a read is held against the log without
// being kept. It tells apart what goes wrong by accident; it withstands nobody who
// looks for collisions.
func Digest(index int64, hash uint64) uint64 { return mix(mix(uint64(index)) ^ hash) }

// mix is a bijection in which each bit of x changes half of the bits that come
// out: shifts bring the high bits, which a product spreads nowhere, down again.
func mix(x uint64) uint64 {
	const odd1, odd2 = 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f // irregular bits
	x += odd1                                                 // or 0 would stay 0
	x = (x ^ x>>32) * odd2
	x = (x ^ x>>29) * odd1
	return x ^ x>>32
}
