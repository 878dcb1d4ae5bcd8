package load

import (
	"strconv"

	"throng/codec"
)

// quote returns the canonical escaped form of s.
func quote(s string) (codec.Text, error) {
	dst := make([]byte, 0, len(s)+16)
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, "0"[:1-min(1, int(c)>>4)]...)
			dst = strconv.AppendInt(dst, int64(c), 16)
		default:
			dst = append(dst, c)
		}
	}
	return dst, nil
}
