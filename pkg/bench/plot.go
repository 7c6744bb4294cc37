package bench

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	_ "gonum.org/v1/plot/vg/vgimg" // which draws PNG
)

// The size of a plot.
const (
	plotWidth  = 18 * vg.Centimeter
	plotHeight = 10 * vg.Centimeter
)

// Plot writes a PNG of the distribution of times: the share of the requests from left to right, ever closer to all of them,
// and upwards how long they took at most.
func (r *Result) Plot(w io.Writer, title string) error {
	var line plotter.XYs
	for _, p := range r.Distribution() {
		if p.Quantile < 1 {
			line = append(line, plotter.XY{X: nines(p.Quantile), Y: p.Latency.Seconds() * 1000})
		}
	}
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text, p.Y.Label.Text = "share of the requests, %", "answered within, ms"
	p.X.Tick.Marker, p.Y.Min, p.X.Min = nineTicks{}, 0, 0
	p.Add(plotter.NewGrid())
	if len(line) > 0 {
		curve, err := plotter.NewLine(line)
		if err != nil {
			return fmt.Errorf("plot the times: %w", err)
		}
		curve.Width, curve.Color = vg.Points(1.5), color.RGBA{R: 0x1f, G: 0x5f, B: 0xbf, A: 0xff}
		p.Add(curve)
	}
	p.X.Min, p.Y.Min = 0, 0
	picture, err := p.WriterTo(plotWidth, plotHeight, "png")
	if err != nil {
		return fmt.Errorf("plot the times: %w", err)
	}
	if _, err := picture.WriteTo(w); err != nil {
		return fmt.Errorf("plot the times: %w", err)
	}
	return nil
}

// nines is how many nines a share has: 0.9 has one, 0.99 two.
func nines(q float64) float64 { return -math.Log10(1 - q) }

// nineTicks marks the shares that people ask for.
type nineTicks struct{}

// Ticks returns the marks between two numbers of nines.
func (nineTicks) Ticks(from, to float64) []plot.Tick {
	var ticks []plot.Tick
	for _, q := range []float64{0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, 0.999999} {
		if at := nines(q); at >= from && at <= to {
			ticks = append(ticks, plot.Tick{Value: at, Label: fmt.Sprintf("%g", math.Round(q*1e8)/1e6)})
		}
	}
	return ticks
}
