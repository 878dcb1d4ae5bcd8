package shards

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// lookupFilter is Pebble's Bloom filter over the records that are looked up. Messages
// and the journal are walked: a filter that held their keys too would cost a hash for
// each of them, in filing and in every compaction, and never be asked.
type lookupFilter struct{ bloom.FilterPolicy }

var (
	tableFilter   = lookupFilter{bloom.FilterPolicy(bloomBitsPerKey)}
	formerFilters = bloom.FilterPolicy(bloomBitsPerKey) // of tables that formats 1 and 2 wrote
)

// Name tells the filters apart from those that hold every key.
func (p lookupFilter) Name() string { return "throng.lookups" }

func walked(key []byte) bool {
	switch key[0] {
	case messagePrefix, epochPrefix, journalPrefix, formerMessagePrefix:
		return true
	}
	return false
}

// MayContain must not deny what it does not know.
func (p lookupFilter) MayContain(kind pebble.FilterType, filter, key []byte) bool {
	return walked(key) || p.FilterPolicy.MayContain(kind, filter, key)
}

// NewWriter returns a writer that passes over what is walked.
func (p lookupFilter) NewWriter(kind pebble.FilterType) pebble.FilterWriter {
	return lookupWriter{p.FilterPolicy.NewWriter(kind)}
}

type lookupWriter struct{ pebble.FilterWriter }

func (w lookupWriter) AddKey(key []byte) {
	if !walked(key) {
		w.FilterWriter.AddKey(key)
	}
}
