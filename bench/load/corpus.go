package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxCorpusBytes bounds a corpus: several times what a pool of bodies holds.
const MaxCorpusBytes = 64 << 20

// fortuneEnd is the line between two entries of fortune's files.
const fortuneEnd = "%"

// ReadCorpus reads texts, a line each: UTF-8 of at most MaxCorpusBytes, with or
// without a byte order mark, its lines of at most MaxTextBytes. Empty lines and
// those that hold nothing but a percent sign, which part the entries of fortune's
// files, are left out; at least one other must be there.
func ReadCorpus(r io.Reader) ([]string, error) {
	lines := bufio.NewScanner(io.LimitReader(r, MaxCorpusBytes+1))
	lines.Buffer(nil, MaxTextBytes)
	var corpus []string
	for n, size := 1, 0; lines.Scan(); n++ {
		if size += len(lines.Bytes()) + 1; size > MaxCorpusBytes {
			return nil, fmt.Errorf("corpus: more than %d bytes", MaxCorpusBytes)
		}
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if !utf8.Valid(line) {
			return nil, fmt.Errorf("corpus: line %d is no UTF-8", n)
		}
		if len(line) > 0 && string(line) != fortuneEnd {
			corpus = append(corpus, string(line))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	if len(corpus) == 0 {
		return nil, errors.New("corpus: no text in it")
	}
	return corpus, nil
}
