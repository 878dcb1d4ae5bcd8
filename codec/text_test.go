package codec

import (
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// anyString draws strings with more than their share of what needs escapes.
var anyString = rapid.StringOf(rapid.OneOf(
	rapid.Rune(),
	rapid.RuneFrom([]rune("\"\\/\b\f\n\r\t\x00\x1f\x7f<>&'\u2028\u2029\ufffd\uffff中é😀\U0010ffffab")),
))

// escapeAnyhow writes s as the inside of a JSON string in one of its many ways:
// each rune plain, in a short escape or by its code point, in either case.
func escapeAnyhow(t *rapid.T, s string) string {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '/': `\/`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	var b strings.Builder
	for _, r := range s {
		units := utf16.Encode([]rune{r})
		switch way := rapid.IntRange(0, 3).Draw(t, "way"); {
		case way == 0 && r >= ' ' && r != '"' && r != '\\':
			b.WriteRune(r)
		case way <= 1 && short[r] != "":
			b.WriteString(short[r])
		case way == 2:
			for _, unit := range units {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		default:
			for _, unit := range units {
				fmt.Fprintf(&b, `\u%04X`, unit)
			}
		}
	}
	return b.String()
}

func TestEqualStringsHaveEqualTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyString.Draw(t, "s")
		want, err := quote(s)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != escape(s) {
			t.Fatalf("quote(%q) = %s, want %s", s, want, escape(s))
		}
		for range 3 {
			var d Decoder
			quoted := `"` + escapeAnyhow(t, s) + `"`
			text, size := d.text("msg", raw(quoted))
			if string(text) != string(want) || size != len(s) || d.fault.State != 0 {
				t.Fatalf("%s is %q of %d bytes, %v; want %q of %d", quoted, text, size, d.fault, want, len(s))
			}
			text, size, err := canonical([]byte(quoted)) // also of strings without escapes
			if string(text) != string(want) || size != len(s) || err != nil {
				t.Fatalf("canonical(%s) = %q, %d, %v; want %q, %d", quoted, text, size, err, want, len(s))
			}
		}
	})
}

func TestTextMeansItsString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyString.Draw(t, "s")
		text, err := quote(s)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := stdjson.Unmarshal([]byte(`"`+string(text)+`"`), &got); err != nil || got != s {
			t.Fatalf("%q came back as %q, %v", s, got, err)
		}
	})
}

// encoding/json writes strings its own way; they have the same Text.
func TestTextOfWhatEncodingJSONWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyString.Draw(t, "s")
		quoted, err := stdjson.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		text, size, err := canonical(quoted)
		if string(text) != escape(s) || size != len(s) || err != nil {
			t.Fatalf("canonical(%s) = %q, %d, %v", quoted, text, size, err)
		}
	})
}

func TestCanonicalRefusesWhatIsNoString(t *testing.T) {
	for _, quoted := range []string{`"`, `"\"`, `"\x"`, `"\u12"`, `"a`, `5`, `"a"b`, "\"\x01\"", "\"\\\x01\""} {
		if text, size, err := canonical([]byte(quoted)); err == nil {
			t.Errorf("canonical(%s) = %q, %d", quoted, text, size)
		}
	}
}

// A text is valid UTF-8 or none, wherever in it, and however near the end of the body, the
// bytes stand that tell: all sequences of one and two bytes, and those of three and four
// whose further bytes are at the limits. With control characters it is none anyway.
func TestTextsAreValidUTF8(t *testing.T) {
	edges := []byte{0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xec, 0xed, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff}
	var sequences [][]byte
	for a := 0x80; a < 0x100; a++ {
		sequences = append(sequences, []byte{byte(a)})
		for b := range 0x100 {
			sequences = append(sequences, []byte{byte(a), byte(b)})
			for _, c := range edges {
				sequences = append(sequences, []byte{byte(a), byte(b), c})
				if a >= 0xf0 {
					for _, d := range edges {
						sequences = append(sequences, []byte{byte(a), byte(b), c, d})
					}
				}
			}
		}
	}
	for i, sequence := range sequences {
		if strings.ContainsAny(string(sequence), "\"\\") || strings.ContainsFunc(string(sequence), func(r rune) bool { return r < ' ' }) {
			continue
		}
		before, behind := i%70, i/70%70 // vectors of any size are met in any place
		text := strings.Repeat("x", before) + string(sequence) + strings.Repeat("y", behind)
		n := textBytes([]byte(text + `"`))
		if want := utf8.ValidString(text); want != (n == len(text)) || !want && n != -1 {
			t.Fatalf("%x behind %d bytes and before %d: %d bytes of text; valid: %v", sequence, before, behind, n, want)
		}
	}
}
