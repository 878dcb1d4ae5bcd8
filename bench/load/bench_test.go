package load

import "testing"

// What a request costs the generator before it is written: at 3 million a second
// and core all of it together has a fraction of 330 ns.

func BenchmarkSchedule(b *testing.B) {
	for _, arrival := range []Arrival{Constant, Poisson} {
		b.Run(arrival.String(), func(b *testing.B) {
			s, err := NewSchedule(1e6, arrival, 0, 1)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				s.Next()
			}
		})
	}
}

func BenchmarkPicker(b *testing.B) {
	for name, s := range map[string]float64{"uniform": 0, "zipf": 0.99} {
		b.Run(name, func(b *testing.B) {
			p, err := NewPicker(1_000_000, s, 1)
			if err != nil {
				b.Fatal(err)
			}
			for rng := NewRand(1, 1); b.Loop(); {
				p.Next(rng)
			}
		})
	}
}

func BenchmarkMix(b *testing.B) {
	m, err := ParseMix("send=20,read=70,receive=10")
	if err != nil {
		b.Fatal(err)
	}
	for rng := NewRand(1, 1); b.Loop(); {
		m.Next(rng)
	}
}

// 64 bytes, of a pool of its full size: more than the nearer caches hold.
func BenchmarkTextsAppend(b *testing.B) {
	made, err := NewTexts(TextConfig{Sizes: Sizes{64, 64}, Seed: 1, IDs: true})
	if err != nil {
		b.Fatal(err)
	}
	deal, dst, id := made.Deal(NewRand(1, 1)), make([]byte, 0, 64), uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		dst = deal.Append(dst[:0], id)
		id++
	}
}

// Before a run: the pool.
func BenchmarkNewTexts(b *testing.B) {
	for b.Loop() {
		if _, err := NewTexts(TextConfig{Sizes: Sizes{64, 1024}, Seed: 1, IDs: true}); err != nil {
			b.Fatal(err)
		}
	}
}
