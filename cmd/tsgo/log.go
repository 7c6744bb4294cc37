package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// logger returns the logger of a command: warnings and worse, or with --verbose everything, a line each.
func (g globals) logger(s streams) *slog.Logger {
	level := slog.LevelWarn
	if g.verbose {
		level = slog.LevelDebug
	}
	return slog.New(&lineHandler{w: s.err, mu: &sync.Mutex{}, level: level})
}

// lineHandler writes records for people: "tsgo: warning: message (key value, key value)".
type lineHandler struct {
	w     io.Writer
	mu    *sync.Mutex // guards w
	level slog.Level
	attrs string
	group string
}

// Enabled tells whether records of this level are written.
func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle writes one record.
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := h.attrs
	r.Attrs(func(a slog.Attr) bool {
		attrs += h.attr(a)
		return true
	})
	var line bytes.Buffer
	line.WriteString("tsgo: ")
	switch {
	case r.Level >= slog.LevelError:
		line.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		line.WriteString("warning: ")
	}
	line.WriteString(r.Message)
	if attrs != "" {
		fmt.Fprintf(&line, " (%s)", strings.TrimPrefix(attrs, ", "))
	}
	line.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(line.Bytes())
	return err //nolint:wrapcheck // the caller is slog
}

// WithAttrs returns a handler that adds attrs to every record.
func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	for _, a := range attrs {
		more.attrs += h.attr(a)
	}
	return &more
}

// WithGroup returns a handler that puts name before every key.
func (h *lineHandler) WithGroup(name string) slog.Handler {
	more := *h
	more.group += name + "."
	return &more
}

func (h *lineHandler) attr(a slog.Attr) string {
	return fmt.Sprintf(", %s%s %v", h.group, a.Key, a.Value.Resolve())
}
