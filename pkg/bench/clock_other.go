//go:build !linux

package bench

import "time"

// nap sleeps for about d.
func nap(d time.Duration) { <-time.After(d) }
