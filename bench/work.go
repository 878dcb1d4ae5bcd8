package bench

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"

	"throng/bench/load"
	"throng/bench/report"
	"throng/bench/target"
)

// The workloads.
const (
	WorkSend     = "send"
	WorkRead     = "read"
	WorkMixed    = "mixed"
	WorkConnect  = "connect"
	WorkRegister = "register"
	WorkSoak     = "soak"
	WorkCapacity = "capacity"
)

// The modes of reads.
const (
	ModeLast    = "last"    // the newest messages of a chat
	ModeRandom  = "random"  // from anywhere in what chats were filled with
	ModeCatchUp = "catchup" // forward from the start, page by page, as a client does that was away
)

// work is what the sessions of a run ask for. It is shared and does not change.
type work struct {
	settings report.Settings
	plan     target.Plan
	chats    *load.Picker
	mix      *load.Mix
	texts    *load.Texts
}

// workKinds is what a workload asks for that names no mix.
var workKinds = map[string]target.Kind{
	WorkSend: target.Send, WorkSoak: target.Send, WorkCapacity: target.Send,
	WorkRead: target.Read, WorkRegister: target.Register, WorkConnect: target.Login,
}

func mixOf(s *report.Settings) (*load.Mix, error) {
	if len(s.Mix) > 0 {
		return load.NewMix(s.Mix)
	}
	kind, ok := workKinds[s.Workload]
	if !ok {
		return nil, fmt.Errorf("the workload %q needs a mix", s.Workload)
	}
	return load.NewMix(map[string]int{kind.String(): 1})
}

func newWork(c *Config, plan target.Plan, dense bool) (*work, error) {
	mix, err := mixOf(&c.Settings)
	if err != nil {
		return nil, err
	}
	if err := c.checkMix(mix, dense); err != nil {
		return nil, err
	}
	w := &work{settings: c.Settings, plan: plan, mix: mix}
	if w.chats, err = load.NewPicker(c.Chats, c.Zipf, c.Seed); err != nil {
		return nil, err
	}
	w.texts, err = load.NewTexts(load.TextConfig{
		Sizes: load.Sizes{Min: c.SizeMin, Max: c.SizeMax}, Lines: c.Lines, Seed: c.Seed,
		IDs: c.Verify || c.SizeMin >= load.IDBytes,
	})
	return w, err
}

// checkMix reports what the target, or the settings, cannot do of a mix.
func (c *Config) checkMix(mix *load.Mix, dense bool) error {
	var faults []error
	for _, kind := range mix.Kinds() {
		if !c.Target.Supports(kind) {
			faults = append(faults, fmt.Errorf("the target cannot %s", kind))
		}
		if !reads(kind) {
			continue
		}
		if c.Count < 1 || c.Count > maxCount {
			faults = append(faults, fmt.Errorf("a read takes 1 to %d messages, not %d", maxCount, c.Count))
		}
		if c.Mode != ModeLast && !dense {
			faults = append(faults, fmt.Errorf("reads of mode %s name messages by their number in the chat, and the server gives no dense indexes", c.Mode))
		}
		if c.Mode != ModeLast && c.Fill == 0 {
			faults = append(faults, fmt.Errorf("reads of mode %s need chats that were filled", c.Mode))
		}
	}
	return errors.Join(faults...)
}

func reads(k target.Kind) bool { return k == target.Read || k == target.Receive }

// choice is what one session will ask for next. It draws by the run's seed and the
// session's number alone.
type choice struct {
	work *work
	rng  *rand.Rand
	deal load.Deal
	next uint64 // the number of the next text, unique in the run
	chat int    // catch-up: where the session is
	from int64  // the index of its next page; 0: at no chat
}

// A text's number has the session's in its upper bits and counts below them.
const sessionShift = 40

func (w *work) choice(session int) choice {
	rng := load.NewRand(w.settings.Seed, uint64(session))
	return choice{work: w, next: uint64(session) << sessionShift, rng: rng, deal: w.texts.Deal(rng)}
}

// ask sets op to the next operation. Its text is appended to texts.
func (c *choice) ask(op *target.Op, texts []byte) []byte {
	op.Kind = c.work.mix.Next(c.rng)
	switch op.Kind {
	case target.Send:
		chat, more := c.work.chats.Pick(c.rng)
		return c.send(op, texts, chat, more)
	case target.Read, target.Receive:
		c.read(op)
	case target.Login:
		op.User = c.rng.IntN(c.work.plan.Users)
	default:
	}
	return texts
}

// askFill sets op to the place-th of the messages that fill the chats in turn.
func (c *choice) askFill(op *target.Op, texts []byte, place int64) []byte {
	return c.send(op, texts, int(place%int64(c.work.plan.Chats)), c.rng.Uint64())
}

// send sets op to a message to a chat, from the member that random bits choose.
func (c *choice) send(op *target.Op, texts []byte, chat int, random uint64) []byte {
	op.Kind, op.Chat, op.User = target.Send, chat, c.member(chat, random)
	start := len(texts)
	texts = c.deal.Append(texts, c.next)
	op.Text = texts[start:len(texts):len(texts)]
	c.next++
	return texts
}

func (c *choice) read(op *target.Op) {
	s := &c.work.settings
	op.Count = s.Count
	switch s.Mode {
	case ModeRandom:
		op.Chat, op.Index = c.work.chats.Next(c.rng), 1+c.rng.Int64N(int64(s.Fill))
	case ModeCatchUp:
		if c.from == 0 || c.from > int64(s.Fill) {
			c.chat, c.from = c.work.chats.Next(c.rng), 1
		}
		op.Kind, op.Chat, op.Index = target.Receive, c.chat, c.from
		c.from += int64(s.Count)
	default:
		op.Chat, op.Index = c.work.chats.Next(c.rng), -1
	}
	op.User = c.member(op.Chat, c.rng.Uint64())
}

// member is the one of a chat's members that random bits choose.
func (c *choice) member(chat int, random uint64) int {
	j, _ := bits.Mul64(random, uint64(c.work.plan.Members))
	return c.work.plan.Member(chat, int(j))
}
