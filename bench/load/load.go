// Package load is what is asked of a server and when: the due times of an open
// loop ([Schedule]), the choice of chats ([Picker]) and of kinds ([Mix]), and the
// texts of messages ([Texts]).
//
// It is pure: it reads no clock, opens no file and no socket, and everything in
// it follows from its arguments and a seed. Nothing here is safe for concurrent
// use but what says so; the choices draw from the caller's generator, so that each
// session of a run has a sequence of its own.
package load

import "math/rand/v2"

// NewRand returns the generator of one stream of choices. Equal arguments give
// equal sequences; different streams of one seed have nothing in common.
func NewRand(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// mixBits scatters the bits of x over all 64: the finalizer of splitmix64 (Steele,
// Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
func mixBits(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
