// Package redis puts the harness's load on Redis Streams, through rueidis.
//
// A chat is a stream, throng:SEED:CHAT; a send is XADD with an id of the server's
// choice and the text as its one field; a read is XREVRANGE from the end, a receive
// XRANGE. Redis knows no users and no members: who asks is not looked at.
//
// A message's index is its stream id, the milliseconds shifted left by 20 bits and
// the sequence number below. Indexes rise within a chat and are not dense, so a
// message's number in the chat tells nothing: a read begins at -1 or at an index
// that the server has given, a receive there or at the beginning; anything else is
// refused.
//
// rueidis allocates every string and array of an answer. To read a page of 20
// messages costs it more than it costs Redis to send it, so that a generator on the
// server's machine measures both; BenchmarkClient tells how much. Sends are cheaper
// here than there.
package redis

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"throng/bench/target"
)

// redis implements target.Target.
type redis struct {
	option rueidis.ClientOption // of every connection; each Dial adds its own
	admin  rueidis.Client       // for what is no load
	keys   []string             // of the chats; set by Prepare, then constant
}

// Open connects to the server at a redis:// or rediss:// URL, which may name a user,
// a password and a database.
func Open(ctx context.Context, address string) (target.Target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if u.Scheme != "redis" && u.Scheme != "rediss" {
		return nil, fmt.Errorf("redis: %s:// is not redis:// or rediss://", u.Scheme)
	}
	option, err := rueidis.ParseURL(address)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	return open(ctx, option)
}

func open(ctx context.Context, option rueidis.ClientOption) (target.Target, error) {
	option.ForceSingleClient = true
	option.DisableCache = true
	option.DisableRetry = true // what was lost is told, not hidden
	option.ClientSetInfo = rueidis.DisableClientSetInfo
	admin := option
	admin.PipelineMultiplex = onePipe
	client, err := rueidis.NewClient(admin)
	if err != nil {
		if client != nil {
			client.Close()
		}
		return nil, fmt.Errorf("connect to Redis: %w", err)
	}
	if err := client.Do(ctx, client.B().Ping().Build()).Error(); err != nil {
		client.Close()
		return nil, fmt.Errorf("ping Redis: %w", err)
	}
	return &redis{option: option, admin: client}, nil
}

// Supports implements target.Target.
func (r *redis) Supports(k target.Kind) bool {
	switch k {
	case target.Send, target.Read, target.Receive, target.Ping:
		return true
	default:
		return false
	}
}

// deleteBatch is how many keys one UNLINK names.
const deleteBatch = 1000

// Prepare implements target.Target: the streams of the plan are deleted. Redis makes
// them when they are first written to.
func (r *redis) Prepare(ctx context.Context, plan target.Plan, progress func(done, all int)) error {
	keys := make([]string, plan.Chats)
	for i := range keys {
		keys[i] = "throng:" + strconv.FormatUint(plan.Seed, 10) + ":" + strconv.Itoa(i)
	}
	for done := 0; done < len(keys); {
		batch := keys[done:min(done+deleteBatch, len(keys))]
		if err := r.admin.Do(ctx, r.admin.B().Unlink().Key(batch...).Build()).Error(); err != nil {
			return fmt.Errorf("delete streams: %w", err)
		}
		done += len(batch)
		if progress != nil {
			progress(done, len(keys))
		}
	}
	r.keys = keys
	return nil
}

// logPage is how many messages a Log asks for at a time.
const logPage = 1000

// Log implements target.Target.
func (r *redis) Log(ctx context.Context, chat int, after int64, visit func(target.Message) error) error {
	var page []target.Message
	for {
		command := r.admin.B().Xrange().Key(r.keys[chat]).Start(streamID(after + 1)).End("+").Count(logPage).Build()
		entries, err := r.admin.Do(ctx, command).ToArray()
		if err != nil {
			return fmt.Errorf("read stream %s back: %w", r.keys[chat], err)
		}
		if page, err = appendPage(page[:0], entries); err != nil {
			return err
		}
		for _, m := range page {
			if err := visit(m); err != nil {
				return err
			}
		}
		if len(page) < logPage {
			return nil
		}
		after = page[len(page)-1].Index
	}
}

// Close implements target.Target.
func (r *redis) Close() error {
	r.admin.Close()
	return nil
}

// durable are the settings that decide over what an acknowledgement means.
var durable = [...]string{"appendonly", "appendfsync", "auto-aof-rewrite-percentage", "save"}

// Describe implements target.Target.
func (r *redis) Describe(ctx context.Context) (target.Info, error) {
	text, err := r.admin.Do(ctx, r.admin.B().Info().Section("server").Build()).ToString()
	if err != nil {
		return target.Info{}, fmt.Errorf("INFO server: %w", err)
	}
	settings, err := r.admin.Do(ctx, r.admin.B().ConfigGet().Parameter(durable[:]...).Build()).AsStrMap()
	if err != nil {
		return target.Info{}, fmt.Errorf("CONFIG GET: %w", err)
	}
	return target.Info{
		Kind:       "redis",
		Version:    infoField(text, "redis_version"),
		Durability: durability(settings),
		Settings:   settings,
	}, nil
}

func durability(settings map[string]string) string {
	words := "appendonly=" + settings["appendonly"]
	if settings["appendonly"] == "yes" {
		words += " appendfsync=" + settings["appendfsync"]
	}
	return words
}

// infoField finds a line "name:value" in the answer to INFO.
func infoField(text, name string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
