package main

import (
	"encoding/json"
	"fmt"
	"image"
	"os"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/heatmap"
	"github.com/tsgo/tsgo/pkg/vision"
)

// explained is everything known of an explanation: of a picture, or of a text with its tokens.
type explained struct {
	explain.Report

	Words       []string  `json:"words"`
	Importances []float32 `json:"importances"`
}

func readExplained(body []byte) (*explained, error) {
	var x explained
	if err := json.Unmarshal(body, &x); err != nil {
		return nil, fmt.Errorf("the answer is not an explanation: %w: %w", fault.Internal, err)
	}
	return &x, nil
}

// text tells whether a text was explained.
func (x *explained) text() bool { return x.Words != nil }

func (x *explained) target() string {
	if x.Target.Label == "" {
		return strconv.Itoa(x.Target.Index)
	}
	return fmt.Sprintf("%s (class %d)", x.Target.Label, x.Target.Index)
}

func (x *explained) score() string {
	return fmt.Sprintf("%.4g (%s), %.4g without the input", x.Target.Value, x.Target.Output, x.Baseline.Value)
}

func (x *explained) method() string {
	text := x.Method
	switch {
	case x.Exact:
		text += " (exact)"
	case x.Approximation != "":
		text += " (" + x.Approximation + ")"
	}
	if x.Why != "" {
		text += ": " + x.Why
	}
	return text
}

func (x *explained) took() string {
	return (time.Duration(x.Runtime.TotalMS) * time.Millisecond).String()
}

// heat returns the map of what was attributed to a picture. It returns [fault.Unsupported] where it was none.
func (x *explained) heat() (heatmap.Map, error) {
	if x.text() {
		return heatmap.Map{}, fmt.Errorf("%w: a text has no heat map; ask for --output json to keep its tokens and importances", fault.Unsupported)
	}
	attributions, err := x.Picture()
	if err != nil {
		return heatmap.Map{}, err
	}
	return heatmap.New(attributions)
}

// overlay paints the map on the picture that data is.
func (x *explained) overlay(data []byte) (image.Image, error) {
	m, err := x.heat()
	if err != nil {
		return nil, err
	}
	picture, err := vision.Decode(data, 0)
	if err != nil {
		return nil, err
	}
	opts := heatmap.OverlayOptions{}
	if c := x.Crop; c != nil {
		opts.Crop = image.Rect(c.X, c.Y, c.X+c.Width, c.Y+c.Height)
	}
	return m.Overlay(picture, opts), nil
}

// summary writes what a person wants to know, and a small map, or the words.
func (o *explainOptions) summary(x *explained, data []byte) error {
	lines := [][2]string{{"target", x.target()}, {"score", x.score()}, {"method", x.method()}}
	if c := x.Convergence; c != nil {
		lines = append(lines, [2]string{"delta", fmt.Sprintf("%.3g (%s of the score's difference)", c.Delta, share(c.Relative))})
	}
	lines = append(lines, [2]string{"time", x.took()})
	for _, warning := range x.Warnings {
		lines = append(lines, [2]string{"warning", warning})
	}
	if err := o.lines(lines); err != nil {
		return err
	}
	return o.show(x, data)
}

// lines writes labelled lines.
func (o *explainOptions) lines(lines [][2]string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintf(o.out, "%-8s %s\n", line[0], line[1]); err != nil {
			return err //nolint:wrapcheck // of the standard output
		}
	}
	return nil
}

// show draws a small map: on the picture where the terminal has colours for it, alone otherwise. Of a text it shows the
// words.
func (o *explainOptions) show(x *explained, data []byte) error {
	opts := heatmap.TerminalOptions{TrueColour: trueColour(o.streams)}
	m, err := x.heat()
	if err != nil && !x.text() {
		return nil // not everything is a picture, and the summary is out
	}
	if _, err := fmt.Fprintln(o.out); err != nil {
		return err //nolint:wrapcheck // of the standard output
	}
	if x.text() {
		return heatmap.Words(o.out, x.Words, []heatmap.Weights{{Values: x.Importances}}, opts)
	}
	if opts.TrueColour {
		if painted, err := x.overlay(data); err == nil {
			return heatmap.Blocks(o.out, painted, opts)
		}
	}
	return m.Terminal(o.out, opts)
}

// trueColour tells whether the standard output shows 24-bit colours.
func trueColour(s streams) bool {
	colours := s.env("COLORTERM")
	return s.outTerminal && s.env("NO_COLOR") == "" && (colours == "truecolor" || colours == "24bit")
}

// write writes a picture to the file that was asked for.
func (o *explainOptions) write(painted image.Image) error {
	body, err := heatmap.PNG(painted)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.save, body, 0o644); err != nil { //nolint:gosec // a picture for everyone
		return fileError(err)
	}
	return nil
}
