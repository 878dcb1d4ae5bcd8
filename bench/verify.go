package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"throng/bench/check"
	"throng/bench/report"
	"throng/bench/target"
)

// verification is the checker at work on a population.
type verification struct {
	checker *check.Checker
	verdict check.Verdict
	took    time.Duration
	done    atomic.Int64 // chats read back in this round
	seen    []int64      // by chat: its newest index when it was last read back
}

// verify holds all that the crews have seen against the server, once, at the end.
func (p *population) verify(ctx context.Context, r *report.Report) error {
	_, err := p.verifyRound(ctx, r)
	return err
}

// verifyRound verifies what is new since the last round, and reports whether all
// was well until now.
func (p *population) verifyRound(ctx context.Context, r *report.Report) (bool, error) {
	if !p.config.Verify {
		return true, nil
	}
	return p.holdAgainst(ctx, r, (*check.Checker).Check)
}

// conclude reads everything back once more.
func (p *population) conclude(ctx context.Context, r *report.Report) error {
	if !p.config.Verify {
		return nil
	}
	p.verification.verdict.Messages = 0 // all are read again
	_, err := p.holdAgainst(ctx, r, (*check.Checker).Final)
	return err
}

type checking = func(*check.Checker, context.Context, []check.Ledger, check.Log) (check.Verdict, error)

func (p *population) holdAgainst(ctx context.Context, r *report.Report, how checking) (bool, error) {
	v := &p.verification
	if v.checker == nil {
		v.checker = check.New(check.Options{Chats: p.config.Chats, Dense: p.info.Dense, Workers: verifyWorkers})
		v.seen = make([]int64, p.config.Chats)
	}
	p.dropLeftOut()
	began := time.Now()
	v.done.Store(0)
	stopTelling := p.tellVerify()
	found, err := how(v.checker, ctx, p.ledgers, p.readBack(ctx))
	stopTelling()
	if err != nil {
		return false, fmt.Errorf("verify: %w", err)
	}
	v.took += time.Since(began)
	v.verdict.Add(found)
	p.ledgers = nil
	if p.sampled() == 0 {
		r.Verdict = nil
		r.Warnings = append(r.Warnings, fmt.Sprintf(
			"not verified: the ledgers hold %d operations at most, and one chat alone has more", p.config.LedgerEntries))
		return true, nil
	}
	r.Verdict = p.verdict()
	return r.Verdict.OK, nil
}

// verifyWorkers is how many chats are read back at once: enough that the server's
// answers are waited for side by side.
const verifyWorkers = 8

// readBack reads chats back, those that are verified. Of one that was left out
// since an earlier round, it shows what that round has seen: no more can be held
// against the ledgers, and no less.
func (p *population) readBack(ctx context.Context) check.Log {
	v := &p.verification
	return func(chat int, after int64, visit func(index int64, hash uint64) error) error {
		defer v.done.Add(1)
		verified := p.sample.has(uint32(chat))
		if !verified && after >= v.seen[chat] {
			return nil
		}
		err := p.config.Target.Log(ctx, chat, after, func(m target.Message) error {
			if verified {
				v.seen[chat] = max(v.seen[chat], m.Index)
			} else if m.Index > v.seen[chat] {
				return errSeen
			}
			return visit(m.Index, m.Hash)
		})
		if errors.Is(err, errSeen) {
			return nil
		}
		return err
	}
}

// errSeen ends the reading of a chat where what earlier rounds have seen ends.
var errSeen = errors.New("all that was seen is read")

// tellVerify tells of the progress until the returned function is called.
func (p *population) tellVerify() (stop func()) {
	over := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		tick := time.NewTicker(progressPeriod)
		defer tick.Stop()
		for {
			p.tell(Progress{Step: StepVerify, Done: int(p.verification.done.Load()), All: p.config.Chats})
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
	})
	return func() { close(over); telling.Wait() }
}

const progressPeriod = 500 * time.Millisecond

// verdict sums up what was found until now.
func (p *population) verdict() *report.Verdict {
	v := &p.verification.verdict
	out := &report.Verdict{
		Sends: v.Sends, Acked: v.Acked, Unknown: v.Unknown, Found: v.Found, Reads: v.Reads,
		Messages: v.Messages, Chats: p.sampled(), Seconds: p.verification.took.Seconds(),
		Faults: v.Total() + p.faults.count, Examples: append(slices.Clone(p.faults.examples), v.Examples...),
		Note: p.verdictNote(),
	}
	out.Examples = out.Examples[:min(len(out.Examples), maxFaults)]
	out.OK = out.Faults == 0
	return out
}

// verdictNote says what the verdict does not cover, and counts the faults by rule.
func (p *population) verdictNote() string {
	var notes []string
	if n := p.sampled(); n < p.config.Chats {
		notes = append(notes, fmt.Sprintf("%d of %d chats are verified: the ledgers hold %d operations at most",
			n, p.config.Chats, p.config.LedgerEntries))
	}
	if !p.info.Dense {
		notes = append(notes, "the server gives no dense indexes: that they rise is verified, that none is left out cannot be")
	}
	v := &p.verification.verdict
	if v.Clipped > 0 {
		notes = append(notes, fmt.Sprintf("the texts of %d reads that reach into earlier rounds were not compared", v.Clipped))
	}
	for _, rule := range slices.Sorted(maps.Keys(v.Faults)) {
		notes = append(notes, fmt.Sprintf("%d × %s", v.Faults[rule], rule))
	}
	if p.faults.count > 0 {
		notes = append(notes, fmt.Sprintf("%d × bad page", p.faults.count))
	}
	return strings.Join(notes, "; ")
}

// sampled is how many chats are verified.
func (p *population) sampled() (n int) {
	for chat := range p.config.Chats {
		if p.sample.has(uint32(chat)) {
			n++
		}
	}
	return n
}

// faults are what a server may never answer, told by one answer alone.
type faults struct {
	count    int64
	examples []string
}

// maxFaults is how many are described; the others are counted.
const maxFaults = 20

func (f *faults) note(text string) {
	f.count++
	if len(f.examples) < maxFaults {
		f.examples = append(f.examples, text)
	}
}

func (f *faults) add(other *faults) {
	f.count += other.count
	f.examples = append(f.examples, other.examples[:min(len(other.examples), maxFaults-len(f.examples))]...)
	*other = faults{}
}
