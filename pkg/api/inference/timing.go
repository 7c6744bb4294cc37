package inference

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/model"
)

// timing is the preference by which a caller asks for the header Server-Timing, as RFC 7240 has callers ask for what a
// server may leave out: "Prefer: server-timing".
const timing = "server-timing"

// Send has write write the answer to a question, and sees to it that the answer leaves now. A caller that prefers it is
// told how long the stages before took; Wrote is told how long this one did.
func (a Asker) Send(w http.ResponseWriter, r *http.Request, q Question, t model.Timing, write func()) {
	if prefers(r, timing) {
		w.Header().Set("Preference-Applied", timing)
		w.Header().Set("Server-Timing", serverTiming(t, api.Elapsed(r.Context())))
	}
	start := time.Now()
	write()
	if a.Wrote == nil {
		return
	}
	_ = http.NewResponseController(w).Flush() // a caller that has gone, or a writer without a buffer, needs none
	a.Wrote(q.Ref, q.Mode, time.Since(start))
}

// prefers tells whether a request has a preference, without a value.
func prefers(r *http.Request, name string) bool {
	for _, line := range r.Header["Prefer"] {
		for one := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(one), name) {
				return true
			}
		}
	}
	return false
}

// serverTiming returns the stages in the syntax of W3C's Server Timing, in milliseconds. An answer that was joined of
// several has but its whole time.
func serverTiming(t model.Timing, total time.Duration) string {
	var out []byte
	metric := func(name string, took time.Duration) {
		out = append(out, name...)
		out = append(out, ";dur="...)
		out = strconv.AppendFloat(out, float64(took)/float64(time.Millisecond), 'f', 3, 64)
		out = append(out, ", "...)
	}
	if t.Batch > 0 {
		metric("preprocess", t.Preprocess)
		metric("queue", t.Queue)
		metric("stack", t.Stack)
		metric("inference", t.Run)
		metric("postprocess", t.Postprocess)
		out = append(out, "batch;desc="...)
		out = strconv.AppendInt(out, int64(t.Batch), 10)
		out = append(out, ", "...)
	}
	metric("total", total)
	return string(out[:len(out)-len(", ")])
}
