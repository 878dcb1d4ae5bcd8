package load

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"throng/bench/target"
)

func TestParseMix(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  string
		kinds []target.Kind
	}{
		{"send=20,read=70,receive=10", "send=20,read=70,receive=10", []target.Kind{target.Send, target.Read, target.Receive}},
		{" receive = 1 , send=2 ", "send=2,receive=1", []target.Kind{target.Send, target.Receive}},
		{"ping=1000000", "ping=1000000", []target.Kind{target.Ping}},
		{"send=0,login=1", "login=1", []target.Kind{target.Login}},
	} {
		m, err := ParseMix(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if m.String() != c.want || !slices.Equal(m.Kinds(), c.kinds) {
			t.Errorf("%q is read as %v of %v, want %s of %v", c.text, m, m.Kinds(), c.want, c.kinds)
		}
		again, err := NewMix(m.Weights())
		if err != nil || again.String() != c.want || !maps.Equal(again.Weights(), m.Weights()) {
			t.Errorf("%q: its weights give %v, %v", c.text, again, err)
		}
	}
}

// An error says what is wrong, and where.
func TestParseMixRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                     `"" is not of the form kind=weight`,
		"send":                 `"send" is not of the form kind=weight`,
		"send=1,":              `"" is not of the form kind=weight`,
		"send=1,send=2":        "send has two weights",
		"send=x":               `weight of send must be a whole number, not "x"`,
		"send=1.5":             `not "1.5"`,
		"send=":                `not ""`,
		"send=-1":              "weight of send must be 0 to 1000000, not -1",
		"send=1000001":         "not 1000001",
		"sned=1,zap=2,send=1":  `no such kind: "sned", "zap"; there are send, read, receive, register, login, ping`,
		"send=0,read=0":        "no kind has a weight above 0",
		"=3":                   `no such kind: ""`,
		"send=999999999999999": "not 999999999999999",
	} {
		if _, err := ParseMix(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want an error with %s", text, err, want)
		}
	}
}

// Kinds are chosen in proportion to their weights, and those without one never.
func TestMixAgainstItsWeights(t *testing.T) {
	const draws = 100_000
	for _, weights := range []map[string]int{
		{"send": 20, "read": 70, "receive": 10},
		{"send": 1, "ping": 1000},
		{"send": 1, "read": 2, "receive": 3, "register": 4, "login": 5, "ping": 6},
		{"login": MaxWeight, "ping": MaxWeight, "read": 0},
		{"register": 1},
	} {
		m, err := NewMix(weights)
		if err != nil {
			t.Fatal(err)
		}
		var counts [target.Kinds]int
		for rng, i := NewRand(1, 1), 0; i < draws; i++ {
			counts[m.Next(rng)]++
		}
		sum := 0
		for _, weight := range weights {
			sum += weight
		}
		var observed []int
		var expected []float64
		for kind := range target.Kind(target.Kinds) {
			if share := weights[kind.String()]; share > 0 {
				observed = append(observed, counts[kind])
				expected = append(expected, float64(share)*draws/float64(sum))
			} else if counts[kind] > 0 {
				t.Errorf("%v: %v is chosen", m, kind)
			}
		}
		if !plausible(observed, expected) {
			t.Errorf("%v: of %d choices %v, want %v", m, draws, observed, expected)
		}
	}
}
