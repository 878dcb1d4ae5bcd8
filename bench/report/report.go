// Package report is what a run says: the figures, how they are written down, and
// how runs are compared. It measures nothing itself.
//
// A [Report] is plain data. JSON holds all of it, histograms included, so that
// every other form, and every comparison, can be made from the JSON later.
package report

import (
	"time"

	"throng/bench/target"
)

// Schema is the version of the JSON form. A reader refuses newer ones.
const Schema = 1

// Report is one run.
type Report struct {
	Schema   int       `json:"schema"`
	Tool     Tool      `json:"tool"`
	Started  time.Time `json:"started"`
	Command  []string  `json:"command,omitempty"` // as typed, secrets left out
	Settings Settings  `json:"settings"`
	Machine  Machine   `json:"machine"`
	Others   []Machine `json:"other_machines,omitempty"` // of a merged report: where the second generator ran, the third …
	Server   Server    `json:"server"`
	Load     Load      `json:"load"`

	Elapsed float64    `json:"elapsed_s"` // seconds measured, warm-up left out
	Total   Figures    `json:"total"`     // of all kinds
	Kinds   []Figures  `json:"kinds"`     // of each kind that was asked, in the order of target.Kind
	Seconds []Second   `json:"seconds"`   // over time, warm-up included
	Verdict *Verdict   `json:"verdict,omitempty"`
	Curve   []Capacity `json:"curve,omitempty"` // of a search for capacity
	Idle    *Idle      `json:"idle,omitempty"`  // of workload connect

	Warnings    []string `json:"warnings,omitempty"` // what makes the figures doubtful
	Interrupted bool     `json:"interrupted,omitempty"`
}

// Tool is the harness itself.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

// Settings is what was asked for: all that decides what is measured. Two reports
// can be compared where their Settings are equal but for Seed.
type Settings struct {
	Workload string `json:"workload"` // send, read, mixed, connect, register, soak, capacity
	Target   string `json:"target"`   // the kind of server: throng, redis, nats, postgres

	Connections int     `json:"connections"`
	Pipeline    int     `json:"pipeline"`          // requests in flight on a connection, at most
	Rate        float64 `json:"rate,omitempty"`    // requests a second in all; 0: closed loop, as fast as answers come
	Arrival     string  `json:"arrival,omitempty"` // constant, poisson: of an open loop

	Duration time.Duration `json:"duration_ns,omitempty"` // measured time; 0: until Requests
	Requests int64         `json:"requests,omitempty"`    // 0: until Duration
	Warmup   time.Duration `json:"warmup_ns,omitempty"`   // before it, not measured
	Ramp     time.Duration `json:"ramp_ns,omitempty"`     // the rate, or the number of connections, rises from 0 over it, at the start of the warm-up

	Chats   int     `json:"chats"`
	Users   int     `json:"users"`
	Members int     `json:"members"`        // of each chat
	Zipf    float64 `json:"zipf,omitempty"` // exponent of the choice of chats; 0: uniform

	SizeMin int    `json:"size_min"` // bytes of a text, drawn evenly
	SizeMax int    `json:"size_max"`
	Corpus  string `json:"corpus,omitempty"` // name of the file that texts come from; empty: made by seed

	Mix    map[string]int `json:"mix,omitempty"`      // weights of the kinds
	Mode   string         `json:"mode,omitempty"`     // of reads: last, random, catchup
	Count  int            `json:"count,omitempty"`    // messages of a read
	Fill   int            `json:"fill,omitempty"`     // messages in each chat before the load
	Verify bool           `json:"verify"`             // the run is verified
	Rounds time.Duration  `json:"round_ns,omitempty"` // soak: load between two verifications
	Idle   time.Duration  `json:"idle_ns,omitempty"`  // connect: time to hold the connections

	Agents int    `json:"agents,omitempty"` // generators; 0: this process alone
	Seed   uint64 `json:"seed"`
}

// Machine is where the generator ran.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
	Kernel string `json:"kernel"`
	OS     string `json:"os"`
}

// Server is what was measured.
type Server struct {
	target.Info
	Addr  string `json:"addr"`
	Local bool   `json:"local"` // it ran on the generator's machine: what follows was read there

	CPU      float64 `json:"cpu_s,omitempty"`          // seconds of processor time while measured
	Resident int64   `json:"resident_bytes,omitempty"` // at the end of the measured time
	Peak     int64   `json:"peak_bytes,omitempty"`     // the most, since it started
	Disk     *Disk   `json:"disk,omitempty"`           // the disk of its data directory, where that is known
}

// Disk is what synced writes cost on an idle disk.
type Disk struct {
	Writes int     `json:"writes"`       // how many were measured
	Bytes  int     `json:"bytes"`        // of each write
	P50    float64 `json:"fsync_p50_ms"` // write and fdatasync
	P99    float64 `json:"fsync_p99_ms"`
	Max    float64 `json:"fsync_max_ms"`
}

// Load is how the generator fared.
type Load struct {
	Offered  float64 `json:"offered_per_s,omitempty"` // requests due a second, open loop
	Achieved float64 `json:"achieved_per_s"`          // successes a second
	CPU      float64 `json:"cpu_s"`                   // the generator's processor time while measured
	LagP99   float64 `json:"lag_p99_ms,omitempty"`    // from due to sent where a place in the window was free: the generator's own delay
	LagMax   float64 `json:"lag_max_ms,omitempty"`
	Unsent   int64   `json:"unsent,omitempty"` // due, but not sent when the time was up
}

// Figures is what was measured of some requests. Only successes have a latency.
type Figures struct {
	Kind     string           `json:"kind"` // a kind's name; total
	Requests int64            `json:"requests"`
	OK       int64            `json:"ok"`
	Errors   map[string]int64 `json:"errors,omitempty"` // refusals by kind, "lost", "no connection"
	PerS     float64          `json:"per_s"`            // successes a second
	BytesOut int64            `json:"bytes_out,omitempty"`
	BytesIn  int64            `json:"bytes_in,omitempty"`
	Messages int64            `json:"messages,omitempty"` // shown by reads
	Latency  Latency          `json:"latency"`            // from the moment when a request was due
	Service  *Latency         `json:"service,omitempty"`  // from the moment when it was sent; nil in a closed loop, where both are one
}

// Latency sums up a distribution. Times are milliseconds.
type Latency struct {
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p99.9_ms"`
	P9999 float64 `json:"p99.99_ms"`
	Max   float64 `json:"max_ms"`
	Hdr   string  `json:"hdr"` // the whole histogram: HdrHistogram's V2 compressed form, base64, in nanoseconds
}

// Second is what happened in one second of the run.
type Second struct {
	At       float64 `json:"at_s"` // its end, from the start of the load
	Measured bool    `json:"measured"`
	Due      int64   `json:"due,omitempty"` // open loop
	OK       int64   `json:"ok"`
	Errors   int64   `json:"errors"`
	P50      float64 `json:"p50_ms"` // of what was answered in it, from due
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
	CPU      float64 `json:"server_cpu_cores,omitempty"`
	Resident int64   `json:"server_resident_bytes,omitempty"`

	// Hdr is the histogram behind P50, P99 and Max, see Encode: some kilobytes.
	// Merge and WriteHDR need it; Write leaves it out, WritePart does not.
	Hdr string `json:"hdr,omitempty"`
}

// Verdict is what the checker found.
type Verdict struct {
	OK       bool     `json:"ok"`
	Sends    int64    `json:"sends"`    // intents
	Acked    int64    `json:"acked"`    // acknowledged, each found at its index with its text
	Unknown  int64    `json:"unknown"`  // without an answer
	Found    int64    `json:"found"`    // of the unknown, in the log
	Reads    int64    `json:"reads"`    // held against the history
	Messages int64    `json:"messages"` // read back
	Chats    int      `json:"chats"`    // read back
	Seconds  float64  `json:"seconds"`  // it took
	Faults   int64    `json:"faults"`
	Examples []string `json:"examples,omitempty"` // the first faults, a line each
	Note     string   `json:"note,omitempty"`     // what could not be held against the server, and why
}

// Capacity is one trial of a search for the highest rate that holds.
type Capacity struct {
	Rate     float64 `json:"rate_per_s"` // offered
	Achieved float64 `json:"achieved_per_s"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p99.9_ms"`
	Held     bool    `json:"held"`
	Why      string  `json:"why,omitempty"` // what did not hold
}

// Idle is what open connections cost.
type Idle struct {
	Connections   int     `json:"connections"`
	ConnectPerS   float64 `json:"connect_per_s"`        // connected and logged in
	BytesEach     float64 `json:"bytes_each,omitempty"` // of the server's resident memory, where it is local
	ResidentStart int64   `json:"resident_start_bytes,omitempty"`
	ResidentIdle  int64   `json:"resident_idle_bytes,omitempty"`
	Dropped       int     `json:"dropped"` // closed by the server while idle
}
