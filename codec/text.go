package codec

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// NewText returns the Text of s. It refuses invalid UTF-8, as the server would.
func NewText(s string) (Text, error) {
	if !utf8.ValidString(s) {
		return nil, errors.New("a text must be valid UTF-8")
	}
	return quote(s)
}

// canonical returns the Text of a quoted JSON string that holds escapes, and
// its size in bytes unescaped. A lone surrogate reads as U+FFFD.
func canonical(quoted []byte) (Text, int, error) {
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return nil, 0, fmt.Errorf("unescape: %w", err)
	}
	text, err := quote(s)
	return text, len(s), err
}

// quote returns the Text of s, which must be valid UTF-8. sonic escapes what
// JSON demands (quote, backslash, control characters) and nothing else, so that
// a string that came without escapes is its own Text.
func quote(s string) (Text, error) {
	quoted, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("escape: %w", err)
	}
	return quoted[1 : len(quoted)-1], nil
}
