package main

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far something has come, on the standard error stream where that is a terminal, once it has taken
// longer than a moment. The zero value shows nothing. It is safe for concurrent use.
type progress struct {
	mu    sync.Mutex // guards bar
	bar   *progressbar.ProgressBar
	s     streams
	text  string
	bytes bool
	begun time.Time
	after time.Duration
}

// newProgress returns a bar that appears when text takes longer than after.
func newProgress(s streams, text string, after time.Duration) *progress {
	return &progress{s: s, text: text, begun: time.Now(), after: after}
}

// set shows that done of total are done.
func (p *progress) set(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.s.err == nil || !p.s.errTerminal {
		return
	}
	if p.bar == nil {
		if time.Since(p.begun) < p.after || done >= total {
			return
		}
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.s.err), progressbar.OptionSetDescription(p.text),
			progressbar.OptionShowBytes(p.bytes), progressbar.OptionShowCount(), progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(50*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	p.bar.ChangeMax64(total)
	_ = p.bar.Set64(done) // a bar that cannot be drawn must not stop the work
}

// done takes the bar away.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Finish()
	}
	p.bar = nil
}

// spin shows that something goes on, and for how long, on the standard error stream where that is a terminal, once it has
// taken longer than after. The caller calls the function that it returns when it is over.
func spin(s streams, text string, after time.Duration) (done func()) {
	if s.err == nil || !s.errTerminal {
		return func() {}
	}
	bar := progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription(text), progressbar.OptionSpinnerType(14),
		progressbar.OptionSetElapsedTime(true), progressbar.OptionSetSpinnerChangeInterval(0))
	bar.StartWithoutRender() // the time counts from here
	over := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for wait := after; ; wait = 100 * time.Millisecond {
			select {
			case <-over:
				_ = bar.Clear() // what cannot be drawn must not stop the work
				return
			case <-time.After(wait):
				_ = bar.RenderBlank()
			}
		}
	})
	return func() {
		close(over)
		group.Wait()
	}
}
