package redis

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"throng/bench/target"
)

// An index is a stream id in 63 bits:
//
//	| milliseconds: 43 bits | sequence number: 20 bits |
const (
	sequenceBits = 20
	maxSequence  = 1<<sequenceBits - 1
	maxMillis    = 1<<(63-sequenceBits) - 1 // in the year 2248

	// firstIndex is the least that a server's clock can give. What is below it is a
	// message's number, which Redis cannot find.
	firstIndex = 1 << sequenceBits
)

// parseID makes an index of a stream id, "milliseconds-sequence". An id that does
// not fit is an error, not another message's index.
func parseID(id string) (int64, error) {
	left, right, found := strings.Cut(id, "-")
	if !found {
		return 0, fmt.Errorf("stream id %q has no sequence number", id)
	}
	millis, err := strconv.ParseInt(left, 10, 64)
	if err != nil || millis < 0 || millis > maxMillis {
		return 0, fmt.Errorf("stream id %q does not fit in an index", id)
	}
	sequence, err := strconv.ParseInt(right, 10, 64)
	if err != nil || sequence < 0 || sequence > maxSequence {
		return 0, fmt.Errorf("stream id %q does not fit in an index", id)
	}
	return millis<<sequenceBits | sequence, nil
}

// streamID is the opposite of parseID.
func streamID(index int64) string {
	return strconv.FormatInt(index>>sequenceBits, 10) + "-" + strconv.FormatInt(index&maxSequence, 10)
}

// appendPage appends the messages of an answer to XRANGE or XREVRANGE, each of
// which is [id, [field, text]].
func appendPage(page []target.Message, entries []rueidis.RedisMessage) ([]target.Message, error) {
	for i := range entries {
		m, err := parseEntry(&entries[i])
		if err != nil {
			return page, err
		}
		page = append(page, m)
	}
	return page, nil
}

func parseEntry(entry *rueidis.RedisMessage) (target.Message, error) {
	parts, err := entry.ToArray()
	if err != nil || len(parts) != 2 {
		return target.Message{}, fmt.Errorf("stream entry %v is no id with fields", entry)
	}
	id, err := parts[0].ToString()
	if err != nil {
		return target.Message{}, fmt.Errorf("id of a stream entry: %w", err)
	}
	index, err := parseID(id)
	if err != nil {
		return target.Message{}, err
	}
	fields, err := parts[1].ToArray()
	if err != nil || len(fields) != 2 {
		return target.Message{}, fmt.Errorf("stream entry %s has not one field", id)
	}
	text, err := fields[1].AsBytes()
	if err != nil {
		return target.Message{}, fmt.Errorf("text of stream entry %s: %w", id, err)
	}
	return target.Message{Index: index, Hash: target.Hash(text)}, nil
}
