package bench

import (
	"runtime"
	"time"

	"throng/bench/load"
	"throng/bench/system"
)

// pacer makes requests due by the schedule of an open loop. It is one thread: it
// sleeps until the next is due, takes all that are due by then, and hands each
// session its own, in turn.
type pacer struct {
	crew     *crew
	schedule *load.Schedule
	start    int64     // of the schedule, on the run's clock
	next     int       // the session whose turn it is
	due      [][]int64 // by session
	touched  []int     // sessions in due
	limit    int64     // measured requests; 0: no limit
	made     int64     // of them, so far
}

// until makes requests due until their number is reached or stop reports true, and
// returns how many were to be measured.
func (p *pacer) until(stop func() bool) int64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sleeper := system.NewSleeper()
	due := p.schedule.Next()
	for !stop() && !p.full() {
		at := p.start + int64(due)
		// Naps are short, so that a stop is seen within one of them.
		if wait := at - p.crew.now(); wait > int64(longestNap) {
			sleeper.SleepUntil(time.Now().Add(longestNap))
			continue
		} else if wait > 0 {
			sleeper.SleepUntil(p.crew.epoch.Add(time.Duration(at)))
		}
		for now := p.crew.now(); at <= now && !p.full(); at = p.start + int64(due) {
			p.assign(at)
			due = p.schedule.Next()
		}
		p.handOver()
	}
	return p.made
}

const longestNap = 50 * time.Millisecond

func (p *pacer) assign(due int64) {
	if len(p.due[p.next]) == 0 {
		p.touched = append(p.touched, p.next)
	}
	p.due[p.next] = append(p.due[p.next], due)
	p.next = (p.next + 1) % len(p.due)
	if due >= p.crew.measuredFrom.Load() {
		p.made++
	}
}

func (p *pacer) full() bool { return p.limit > 0 && p.made == p.limit }

func (p *pacer) handOver() {
	for _, i := range p.touched {
		p.crew.due.Add(int64(len(p.due[i])))
		p.crew.sessions[i].enqueue(p.due[i])
		p.due[i] = p.due[i][:0]
	}
	p.touched = p.touched[:0]
}
