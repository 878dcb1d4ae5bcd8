package postgres

import (
	"math"
	"testing"

	"throng/bench/target"
)

func TestTheStatementOfAReadFollowsItsIndex(t *testing.T) {
	for _, row := range []struct {
		kind  target.Kind
		index int64
		want  statement
		param int64
	}{
		{target.Read, 5, readBack, 5},
		{target.Read, 0, readBack, 0},
		{target.Read, math.MaxInt64, readBack, math.MaxInt64},
		{target.Read, -1, readNewest, 1},
		{target.Read, -7, readNewest, 7},
		{target.Read, math.MinInt64, readNewest, maxFromEnd},
		{target.Receive, 0, receiveForward, 0},
		{target.Receive, 5, receiveForward, 5},
		{target.Receive, -7, receiveNewest, 7},
		{target.Receive, math.MinInt64, receiveNewest, maxFromEnd},
	} {
		if s, param := choose(row.kind, row.index); s != row.want || param != row.param {
			t.Errorf("%v from %d: statement %d with %d, want %d with %d", row.kind, row.index, s, param, row.want, row.param)
		}
	}
}
