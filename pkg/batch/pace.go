package batch

import "time"

// pace is how fast requests are answered while there are always some that wait, whatever it is that holds them up: the
// network, the cores, or preprocessing. It is a moving average, so that it follows a model that becomes slower or faster.
type pace struct {
	each time.Duration // between one request's answer and the next one's; 0: not known
	last time.Time     // when a batch ended with others waiting; zero: none did
}

// inertia is how many batches the average goes back, about.
const inertia = 8

// learn draws from a batch of so many requests that ended now. The time since the batch before says something only where
// requests have waited ever since, as far as can be seen.
func (p *pace) learn(now time.Time, size int, waiting bool) {
	if !p.last.IsZero() {
		each := now.Sub(p.last) / time.Duration(size)
		if p.each == 0 {
			p.each = each
		}
		p.each += (each - p.each) / inertia
	}
	p.last = time.Time{}
	if waiting {
		p.last = now
	}
}

// wait is how long a request would wait behind so many others that wait, and the one that runs. Where none waits, it is
// not known when that will be over; and whoever is let in then keeps the pace up to date.
func (p *pace) wait(others int) time.Duration {
	if others == 0 {
		return 0
	}
	return time.Duration(others+1) * p.each
}
