package bench

import (
	"context"
	"time"
)

// Clock tells the time and waits for it.
type Clock interface {
	Now() time.Time
	// WaitUntil returns nil at t, or at once when t has passed, and ctx's error when that ends first.
	WaitUntil(ctx context.Context, t time.Time) error
}

// systemClock is the system's. A timer of Go's may come a millisecond late, which is more than some answers take: the last
// stretch is slept in the system.
type systemClock struct{}

// stretch is what is left to the system.
const stretch = 2 * time.Millisecond

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) WaitUntil(ctx context.Context, t time.Time) error {
	if wait := time.Until(t) - stretch; wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for wait := time.Until(t); wait > 0 && ctx.Err() == nil; wait = time.Until(t) {
		nap(wait)
	}
	return ctx.Err()
}
