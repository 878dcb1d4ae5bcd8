package bench

import "errors"

// climb looks for the highest rate up to most at which try holds: from a small
// part of it in doublings, then, between what held and what did not, by halves. It
// makes maxTrials trials at most. A try that
// fails ends it; ErrStopped does so with what was found.
func climb(most float64, try func(rate float64) (held bool, err error)) error {
	low, high := 0.0, 0.0 // the highest that held, the lowest that did not; 0: none yet
	rate := most / firstShare
	for range maxTrials {
		held, err := try(rate)
		switch {
		case errors.Is(err, ErrStopped):
			return nil
		case err != nil:
			return err
		case held:
			low = max(low, rate)
		default:
			high = rate
		}
		if rate = nextRate(low, high, most); rate == 0 {
			return nil
		}
	}
	return nil
}

// nextRate is the rate to try next; 0: the search is over.
func nextRate(low, high, most float64) float64 {
	switch {
	case high == 0 && low >= most:
		return 0
	case high == 0:
		return min(2*low, most)
	case low == 0 && high < most/(firstShare*firstShare):
		return 0
	case low > 0 && high/low < precision:
		return 0
	}
	return (low + high) / 2
}
