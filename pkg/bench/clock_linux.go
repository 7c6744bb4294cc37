package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// nap sleeps for about d. A signal may end it early.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil) // whoever naps looks at the clock again
}
