package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"throng/bench/target"
)

// What is refused without asking the server.
const (
	unsupported = "unsupported"
	noNumbers   = "Redis finds messages by id, not by number"
)

// batch is the operations that one DoMulti asks for. It is used again.
type batch struct {
	asked    []asked
	commands []rueidis.Completed // one for each of asked that is not refused

	// Owned by the batch's flight until it has landed.
	replies []target.Reply
	page    []target.Message // the replies' pages, one behind the other
	landed  bool
	broken  error // why the rest of asked has no replies
}

// asked is one operation of a batch.
type asked struct {
	kind    target.Kind
	refusal string // why the server is not asked; empty: it is
}

func (b *batch) reset() {
	*b = batch{asked: b.asked[:0], commands: b.commands[:0], replies: b.replies[:0], page: b.page[:0]}
}

// add appends an operation. It copies the text.
func (b *batch) add(build rueidis.Builder, keys []string, op *target.Op) {
	refusal := ""
	switch op.Kind {
	case target.Send:
		text := string(op.Text)
		b.commands = append(b.commands, build.Xadd().Key(keys[op.Chat]).Id("*").FieldValue().FieldValue("m", text).Build())
	case target.Read:
		refusal = b.addRead(build, keys, op)
	case target.Receive:
		refusal = b.addReceive(build, keys, op)
	case target.Ping:
		b.commands = append(b.commands, build.Ping().Build())
	default:
		refusal = unsupported
	}
	b.asked = append(b.asked, asked{op.Kind, refusal})
}

func (b *batch) addRead(build rueidis.Builder, keys []string, op *target.Op) (refusal string) {
	from := "+"
	switch {
	case op.Index >= firstIndex:
		from = streamID(op.Index)
	case op.Index != -1:
		return noNumbers
	}
	b.commands = append(b.commands, build.Xrevrange().Key(keys[op.Chat]).End(from).Start("-").Count(int64(op.Count)).Build())
	return ""
}

func (b *batch) addReceive(build rueidis.Builder, keys []string, op *target.Op) (refusal string) {
	from := "-"
	switch {
	case op.Index >= firstIndex:
		from = streamID(op.Index)
	case op.Index != 0 && op.Index != 1:
		return noNumbers
	}
	b.commands = append(b.commands, build.Xrange().Key(keys[op.Chat]).Start(from).End("+").Count(int64(op.Count)).Build())
	return ""
}

// fly asks the server and waits for its answers.
func (b *batch) fly(client rueidis.Client, pages bool) {
	var results []rueidis.RedisResult
	if len(b.commands) > 0 {
		// No context's end: an answer comes, or the connection ends.
		results = client.DoMulti(context.Background(), b.commands...)
	}
	for _, a := range b.asked {
		if a.refusal != "" {
			b.replies = append(b.replies, target.Reply{Status: target.Refused, Error: a.refusal})
			continue
		}
		if b.broken = b.answer(a.kind, &results[0], pages); b.broken != nil {
			return
		}
		results = results[1:]
	}
}

// answer makes a reply of one result. An error ends the connection.
func (b *batch) answer(kind target.Kind, result *rueidis.RedisResult, pages bool) error {
	value, err := result.ToMessage()
	if refused, ok := errors.AsType[*rueidis.RedisError](err); ok && !refused.IsNil() {
		b.replies = append(b.replies, target.Reply{Status: target.Refused, Error: refusalKind(refused)})
		return nil
	}
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	var r target.Reply
	switch kind {
	case target.Send:
		r.Index, err = readID(&value)
	case target.Read, target.Receive:
		if pages {
			r.Page, err = b.addPage(&value)
		}
	default:
	}
	if err != nil {
		return fmt.Errorf("redis: answer to a %v: %w", kind, err)
	}
	b.replies = append(b.replies, r)
	return nil
}

func readID(value *rueidis.RedisMessage) (int64, error) {
	id, err := value.ToString()
	if err != nil {
		return 0, err
	}
	return parseID(id)
}

func (b *batch) addPage(value *rueidis.RedisMessage) ([]target.Message, error) {
	entries, err := value.ToArray()
	if err != nil {
		return nil, err
	}
	from := len(b.page)
	b.page, err = appendPage(b.page, entries)
	return b.page[from:len(b.page):len(b.page)], err
}

// refusalKind is an error's code, its first word where that is in capitals: the
// rest names keys and numbers, and refusals are counted by it.
func refusalKind(err *rueidis.RedisError) string {
	word, _, _ := strings.Cut(err.Error(), " ")
	if word == strings.ToUpper(word) {
		return word
	}
	return "ERR"
}
