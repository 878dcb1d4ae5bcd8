package throng

import (
	"context"
	"fmt"

	"throng/bench/target"
	"throng/codec"
)

// Log reads a chat back in pages of the protocol's largest count, until one is
// empty: a short page may have been cut, and only an empty one is the end. What
// the pages show goes to visit as it is, holes and repetitions too; where a page
// does not come any further, nothing more is asked for.
func (t *Target) Log(ctx context.Context, chat int, after int64, visit func(target.Message) error) error {
	c, first, err := t.firstPage(ctx, chat, after)
	if err != nil {
		return fmt.Errorf("read back chat %d: %w", chat, err)
	}
	for shown := first; ; {
		last, err := show(shown, visit)
		if err == nil && last > after {
			after = last
			shown, err = t.page(ctx, c, chat, after)
		} else if err == nil {
			t.idle.put(c)
			return nil
		}
		if err != nil {
			c.close()
			return fmt.Errorf("read back chat %d after index %d: %w", chat, after, err)
		}
	}
}

// firstPage asks for a page on an idle connection, or on a new one where there is
// none, or where it has ended while nobody looked.
func (t *Target) firstPage(ctx context.Context, chat int, after int64) (*caller, []codec.Shown, error) {
	if c := t.idle.get(); c != nil {
		shown, err := t.page(ctx, c, chat, after)
		if err == nil {
			return c, shown, nil
		}
		c.close()
	}
	c, err := t.dialCaller(ctx)
	if err != nil {
		return nil, nil, err
	}
	shown, err := t.page(ctx, c, chat, after)
	if err != nil {
		c.close()
	}
	return c, shown, err
}

// page asks for the messages behind an index, as the chat's first member.
func (t *Target) page(ctx context.Context, c *caller, chat int, after int64) ([]codec.Shown, error) {
	token := t.users[t.plan.Member(chat, 0)].token
	a, err := c.callPatiently(ctx, codec.AppendReadRequest(nil, codec.Receive, token, t.chats[chat].id, max(after, 0)+1, codec.MaxCount))
	if err != nil {
		return nil, err
	}
	if why := refusal(a); why != "" {
		return nil, fmt.Errorf("answered %s", why)
	}
	c.shown, err = a.Messages(c.shown[:0])
	return c.shown, err
}

// show visits messages and returns the largest index among them.
func show(shown []codec.Shown, visit func(target.Message) error) (last int64, err error) {
	for i := range shown {
		m := &shown[i]
		last = max(last, m.Index)
		if err := visit(target.Message{Index: m.Index, Hash: target.Hash(m.Text)}); err != nil {
			return last, err
		}
	}
	return last, nil
}
