package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"throng/bench/target"
)

// put sets the numbers among a statement's parameters.
func (c *conn) put(numbers ...int64) {
	for i, n := range numbers {
		c.values[i] = int8Value(c.values[i][:0], n)
	}
}

// query puts a statement with its parameters into the pipeline, which encodes them
// at once.
func (c *conn) query(s statement) {
	c.pipeline.SendQueryStatement(c.prepared[s], c.values[:], binaryFormat, binaryFormat)
}

// answer waits for the answer to the oldest request in flight and makes a reply of
// it. The answer ends with that to the Sync: before it nothing is committed.
func (c *conn) answer() error {
	kind := c.flying[0]
	c.flying = append(c.flying[:0], c.flying[1:]...)
	if kind == refused {
		c.replies = append(c.replies, target.Reply{Status: target.Refused, Error: unsupported})
		return nil
	}
	var r target.Reply
	for {
		results, err := c.pipeline.GetResults()
		if err == nil {
			switch results := results.(type) {
			case *pgconn.PipelineSync:
				c.replies = append(c.replies, r)
				return nil
			case *pgconn.ResultReader:
				err = c.read(&r, kind, results)
			default:
				return fmt.Errorf("postgres: answer to a %v: unexpected %T", kind, results)
			}
		}
		if err = refuse(&r, err); err != nil {
			return fmt.Errorf("postgres: answer to a %v: %w", kind, err)
		}
	}
}

// refuse makes a refusal of what the server says no to. Any other error ends the
// connection, and is returned.
func refuse(r *target.Reply, err error) error {
	no, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || fatal(no) {
		return err
	}
	*r = target.Reply{Status: target.Refused, Error: "SQLSTATE " + no.Code}
	return nil
}

// fatal reports whether the server ends the connection with the error.
func fatal(err *pgconn.PgError) bool {
	return err.SeverityUnlocalized == "FATAL" || err.SeverityUnlocalized == "PANIC"
}

// read reads the rows of one statement.
func (c *conn) read(r *target.Reply, kind target.Kind, rows *pgconn.ResultReader) error {
	var err error
	if kind == target.Send {
		err = c.readIndex(r, rows)
	} else {
		err = c.readPage(r, rows)
	}
	if _, closed := rows.Close(); closed != nil {
		return closed
	}
	return err
}

func (c *conn) readIndex(r *target.Reply, rows *pgconn.ResultReader) (err error) {
	for rows.NextRow() {
		if r.Index, err = parseInt8(rows.Values()[0]); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) readPage(r *target.Reply, rows *pgconn.ResultReader) error {
	if !c.pages {
		return nil // the rows are read by Close
	}
	from := len(c.page)
	for rows.NextRow() {
		m, err := parseMessage(rows.Values())
		if err != nil {
			return err
		}
		c.page = append(c.page, m)
	}
	r.Page = c.page[from:len(c.page):len(c.page)]
	return nil
}
