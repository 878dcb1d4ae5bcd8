package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"throng/bench/target"
)

// statement is a query that each connection prepares.
type statement int

const (
	insert         statement = iota // chat, sender, body
	readBack                        // chat, count, index: from it back
	readNewest                      // chat, count, n: from the n-th newest back
	receiveForward                  // chat, count, index: from it on
	receiveNewest                   // chat, count, n: the window that ends at the n-th newest

	statements = iota
)

// last is the index of a chat's newest message, as the statement sees it.
const last = "(SELECT last FROM {schema}.chats WHERE chat = $1)"

var queries = [statements]string{
	insert: `WITH counted AS (UPDATE {schema}.chats SET last = last + 1 WHERE chat = $1 RETURNING last)
INSERT INTO {schema}.messages (chat, idx, sender, body) SELECT $1, last, $2, $3 FROM counted RETURNING idx`,

	readBack: `SELECT idx, body FROM {schema}.messages
WHERE chat = $1 AND idx <= $3 ORDER BY idx DESC LIMIT $2`,

	readNewest: `SELECT idx, body FROM {schema}.messages
WHERE chat = $1 AND idx <= ` + last + ` + 1 - $3 ORDER BY idx DESC LIMIT $2`,

	receiveForward: `SELECT idx, body FROM {schema}.messages
WHERE chat = $1 AND idx >= $3 ORDER BY idx LIMIT $2`,

	receiveNewest: `SELECT idx, body FROM {schema}.messages
WHERE chat = $1 AND idx <= greatest(` + last + ` + 1 - $3, 1) AND idx > greatest(` + last + ` + 1 - $3, 1) - $2
ORDER BY idx`,
}

// Types and formats of the statements' parameters and results: numbers and texts
// travel in binary, which for a text is its bytes.
const (
	int8OID = 20
	textOID = 25
)

var (
	insertTypes  = []uint32{int8OID, int8OID, textOID}
	rangeTypes   = []uint32{int8OID, int8OID, int8OID}
	binaryFormat = []int16{1}
)

func prepareAll(ctx context.Context, c *pgconn.PgConn, schema string) ([statements]*pgconn.StatementDescription, error) {
	var prepared [statements]*pgconn.StatementDescription
	for i, query := range queries {
		types := rangeTypes
		if statement(i) == insert {
			types = insertTypes
		}
		var err error
		prepared[i], err = c.Prepare(ctx, fmt.Sprint("s", i), strings.ReplaceAll(query, "{schema}", schema), types)
		if err != nil {
			return prepared, fmt.Errorf("prepare statement %d: %w", i, err)
		}
	}
	return prepared, nil
}

// choose returns the statement of a read or receive, and its third parameter.
func choose(kind target.Kind, index int64) (statement, int64) {
	switch {
	case kind == target.Read && index >= 0:
		return readBack, index
	case kind == target.Read:
		return readNewest, fromEnd(index)
	case index >= 0:
		return receiveForward, index
	}
	return receiveNewest, fromEnd(index)
}

// maxFromEnd keeps the sums of the statements in range: no chat is so long.
const maxFromEnd = 1 << 62

func fromEnd(index int64) int64 {
	if index < -maxFromEnd {
		return maxFromEnd
	}
	return -index
}

func int8Value(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

func parseInt8(value []byte) (int64, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("postgres: %d bytes are no bigint", len(value))
	}
	return int64(binary.BigEndian.Uint64(value)), nil
}

// parseMessage reads a row of idx and body.
func parseMessage(row [][]byte) (target.Message, error) {
	if len(row) != 2 {
		return target.Message{}, errors.New("postgres: a row is not an index and a text")
	}
	index, err := parseInt8(row[0])
	return target.Message{Index: index, Hash: target.Hash(row[1])}, err
}
