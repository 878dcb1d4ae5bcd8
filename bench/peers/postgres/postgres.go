// Package postgres puts the harness's load on PostgreSQL, through pgx.
//
// A run is a schema, throng_SEED, of two tables: a message is a row of messages,
// with its chat and its index as the primary key, and a row of chats counts each
// chat's messages. A send counts and inserts in one statement, so that indexes are
// dense, and is a transaction of its own; reads and receives are ranges of the key.
// PostgreSQL knows no users and no members here: who asks is noted, not looked up.
package postgres

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"throng/bench/target"
)

// postgres implements target.Target.
type postgres struct {
	config *pgconn.Config
	admin  chan *pgconn.PgConn // idle connections for what is no load, maxIdle at most
	schema string              // set by Prepare, then constant
}

const (
	maxIdle     = 4
	connectTime = 10 * time.Second // bounds the connections for what is no load
)

// Open connects to the server at a postgres:// or postgresql:// URL.
func Open(ctx context.Context, address string) (target.Target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, fmt.Errorf("postgres: %s:// is not postgres://", u.Scheme)
	}
	config, err := pgconn.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	p := &postgres{config: config, admin: make(chan *pgconn.PgConn, maxIdle)}
	if err := p.withAdmin(ctx, func(c *pgconn.PgConn) error { return c.Ping(ctx) }); err != nil {
		return nil, err
	}
	return p, nil
}

// connect opens a connection.
func (p *postgres) connect(ctx context.Context, how target.Dial) (*pgconn.PgConn, error) {
	config := p.config.Copy()
	dialer := net.Dialer{Timeout: how.Timeout}
	if how.Source != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: how.Source}
	}
	config.DialFunc = dialer.DialContext
	config.ConnectTimeout = how.Timeout
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return conn, nil
}

// withAdmin lends a connection. One that has failed is not used again.
func (p *postgres) withAdmin(ctx context.Context, use func(*pgconn.PgConn) error) error {
	conn, err := p.borrow(ctx)
	if err != nil {
		return err
	}
	if err := use(conn); err != nil {
		_ = conn.Close(ctx) // the first error is the one that tells
		return err
	}
	select {
	case p.admin <- conn:
		return nil
	default:
		return conn.Close(ctx)
	}
}

func (p *postgres) borrow(ctx context.Context) (*pgconn.PgConn, error) {
	for {
		select {
		case conn := <-p.admin:
			if conn.Ping(ctx) == nil {
				return conn, nil
			}
			_ = conn.Close(ctx) // the server was restarted since
		default:
			return p.connect(ctx, target.Dial{Timeout: connectTime})
		}
	}
}

// Close implements target.Target.
func (p *postgres) Close() error {
	for {
		select {
		case conn := <-p.admin:
			ctx, cancel := context.WithTimeout(context.Background(), connectTime)
			_ = conn.Close(ctx) // a goodbye; the socket is closed in any case
			cancel()
		default:
			return nil
		}
	}
}

// Supports implements target.Target.
func (p *postgres) Supports(k target.Kind) bool {
	switch k {
	case target.Send, target.Read, target.Receive, target.Ping:
		return true
	default:
		return false
	}
}

// createTables makes a run's schema anew. A chat's row is updated by every send: half
// of its page is left free, so that the new version fits beside the old one and no
// index is touched.
const createTables = `
DROP SCHEMA IF EXISTS {schema} CASCADE;
CREATE SCHEMA {schema};
CREATE TABLE {schema}.chats (
	chat bigint PRIMARY KEY,
	last bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE {schema}.messages (
	chat   bigint,
	idx    bigint,
	sender bigint NOT NULL,
	body   text NOT NULL,
	sent   timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (chat, idx)
);
INSERT INTO {schema}.chats SELECT chat, 0 FROM generate_series(0, {chats} - 1) AS chat;
ANALYZE {schema}.chats;
`

// Prepare implements target.Target.
func (p *postgres) Prepare(ctx context.Context, plan target.Plan, progress func(done, all int)) error {
	schema := "throng_" + strconv.FormatUint(plan.Seed, 10)
	fill := strings.NewReplacer("{schema}", schema, "{chats}", strconv.Itoa(plan.Chats))
	err := p.withAdmin(ctx, func(c *pgconn.PgConn) error {
		_, err := c.Exec(ctx, fill.Replace(createTables)).ReadAll()
		return err
	})
	if err != nil {
		return fmt.Errorf("create the tables of %s: %w", schema, err)
	}
	p.schema = schema
	if progress != nil {
		progress(1, 1)
	}
	return nil
}

// logPage is how many messages a Log asks for at a time.
const logPage = 1000

// Log implements target.Target.
func (p *postgres) Log(ctx context.Context, chat int, after int64, visit func(target.Message) error) error {
	query := fmt.Sprintf("SELECT idx, body FROM %s.messages WHERE chat = $1 AND idx > $2 ORDER BY idx LIMIT %d", p.schema, logPage)
	return p.withAdmin(ctx, func(c *pgconn.PgConn) error {
		for {
			values := [][]byte{int8Value(nil, int64(chat)), int8Value(nil, after)}
			page := c.ExecParams(ctx, query, values, nil, binaryFormat, binaryFormat).Read()
			if page.Err != nil {
				return fmt.Errorf("read chat %d back: %w", chat, page.Err)
			}
			for _, row := range page.Rows {
				m, err := parseMessage(row)
				if err != nil {
					return err
				}
				if err := visit(m); err != nil {
					return err
				}
				after = m.Index
			}
			if len(page.Rows) < logPage {
				return nil
			}
		}
	})
}

// durable are the settings that decide over what an acknowledgement means, in the
// order in which it is told; the others are of interest for the load.
var (
	durable = [...]string{"synchronous_commit", "fsync", "wal_sync_method", "full_page_writes"}
	others  = [...]string{"commit_delay", "shared_buffers", "max_connections"}
)

// Describe implements target.Target.
func (p *postgres) Describe(ctx context.Context) (target.Info, error) {
	info := target.Info{Kind: "postgres", Dense: true, Settings: make(map[string]string)}
	err := p.withAdmin(ctx, func(c *pgconn.PgConn) error {
		var err error
		if info.Version, err = show(ctx, c, "server_version"); err != nil {
			return err
		}
		for _, name := range append(durable[:], others[:]...) {
			if info.Settings[name], err = show(ctx, c, name); err != nil {
				return err
			}
		}
		return nil
	})
	words := make([]string, 0, len(durable))
	for _, name := range durable {
		words = append(words, name+"="+info.Settings[name])
	}
	info.Durability = strings.Join(words, " ")
	return info, err
}

func show(ctx context.Context, c *pgconn.PgConn, name string) (string, error) {
	results, err := c.Exec(ctx, "SHOW "+name).ReadAll()
	if err != nil {
		return "", fmt.Errorf("SHOW %s: %w", name, err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return "", fmt.Errorf("SHOW %s: not one value", name)
	}
	return string(results[0].Rows[0][0]), nil
}
