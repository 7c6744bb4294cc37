package heatmap

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	scale "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Panel is one of several maps of the same picture that are shown side by side.
type Panel struct {
	Map     Map
	Picture image.Image // the map as it is painted, on its picture for one; nil: the map alone
	Caption []string    // the lines below it, the first one its title
}

// image returns what is painted, of that width.
func (p Panel) image(width int) image.Image {
	if p.Picture == nil || p.Picture.Bounds().Empty() {
		return p.Map.Image(width, max(1, width*p.Map.height/p.Map.width))
	}
	from := p.Picture.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, width, max(1, width*from.Dy()/from.Dx())))
	scale.CatmullRom.Scale(out, out.Bounds(), p.Picture, from, draw.Over, nil)
	return out
}

// How panels are set, in pixels.
const (
	defaultPanel = 320
	panelMargin  = 12
	captionSize  = 14
	captionLine  = 19
	abreast      = 4 // panels in a row, at most
)

// SideBySide returns the panels in rows of at most four, each of that width in pixels with its caption below; 0: 320. A line
// that is wider than its panel is cut off. It returns [fault.Invalid] for no panels.
func SideBySide(panels []Panel, width int) (image.Image, error) {
	if len(panels) == 0 {
		return nil, fmt.Errorf("%w: no maps to show side by side", fault.Invalid)
	}
	if width <= 0 {
		width = defaultPanel
	}
	face, err := typeface()
	if err != nil {
		return nil, err
	}
	columns := evenly(len(panels), abreast)
	pictures, height, lines := make([]image.Image, len(panels)), 0, 0
	for i, p := range panels {
		pictures[i] = p.image(width)
		height, lines = max(height, pictures[i].Bounds().Dy()), max(lines, len(p.Caption))
	}
	cell := image.Pt(width+panelMargin, height+captionLine*lines+2*panelMargin)
	out := image.NewRGBA(image.Rect(0, 0, columns*cell.X+panelMargin, (len(panels)+columns-1)/columns*cell.Y))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	for i, p := range panels {
		at := image.Pt(panelMargin+i%columns*cell.X, panelMargin+i/columns*cell.Y)
		draw.Draw(out, pictures[i].Bounds().Sub(pictures[i].Bounds().Min).Add(at), pictures[i], pictures[i].Bounds().Min, draw.Over)
		caption(out, face, p.Caption, at.Add(image.Pt(0, height)), width)
	}
	return out, nil
}

// typeface returns the face of captions.
func typeface() (font.Face, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("typeface of captions: %w: %w", fault.Internal, err)
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: captionSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, fmt.Errorf("typeface of captions: %w: %w", fault.Internal, err)
	}
	return face, nil
}

// caption writes lines below a panel: the first one black, all others grey.
func caption(out draw.Image, face font.Face, lines []string, at image.Point, width int) {
	ink := color.Gray{}
	for i, line := range lines {
		d := font.Drawer{Dst: out, Src: image.NewUniform(ink), Face: face, Dot: fixed.P(at.X, at.Y+captionLine*(i+1))}
		fits := func(text string) bool { return d.MeasureString(text) <= fixed.I(width) }
		d.DrawString(shortened(line, fits))
		ink = color.Gray{Y: 96}
	}
}

// shortened returns a line, without as much of its end as does not fit.
func shortened(line string, fits func(string) bool) string {
	if fits(line) {
		return line
	}
	runes := []rune(line)
	for len(runes) > 0 && !fits(string(runes)+"…") {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// evenly returns how many of n things stand in a row, when at most as many as most may, and the rows are about as long.
func evenly(n, most int) int {
	most = max(1, most)
	rows := (n + most - 1) / most
	return (n + rows - 1) / rows
}

const (
	wholeWidth = 80 // of a terminal
	leastPanel = 16 // columns
	panelGap   = 2
)

// TerminalSideBySide writes the panels beside each other, as many in a row as fit the width, each with its caption below,
// and how to read them at the end. With TrueColour a panel is its picture, where it has one. A width of 0 means 80. It
// returns what writing to w returns.
func TerminalSideBySide(w io.Writer, panels []Panel, opts TerminalOptions) error {
	if len(panels) == 0 {
		return nil
	}
	if opts.Width <= 0 {
		opts.Width = wholeWidth
	}
	columns := evenly(len(panels), (opts.Width+panelGap)/(leastPanel+panelGap))
	cell := opts
	cell.Width = max(1, min(defaultWidth, (opts.Width-panelGap*(columns-1))/columns))
	var out strings.Builder
	gap := ""
	for row := range slices.Chunk(panels, columns) {
		var blocks []block
		for _, p := range row {
			blocks = append(blocks, p.block(cell))
		}
		out.WriteString(gap)
		beside(&out, blocks, cell.Width)
		gap = "\n"
	}
	first := panels[0].Map
	if slices.ContainsFunc(panels, func(p Panel) bool { return p.Map.Signed() }) {
		first = Map{1, 1, []float64{-1}}
	}
	switch {
	case !opts.TrueColour:
		out.WriteByte('\n')
		first.legend(&out)
	case panels[0].Picture == nil:
		out.WriteByte('\n')
		first.legendInColour(&out)
	}
	return write(w, out.String())
}

// block is a part of a terminal: the lines of a picture, all of one width, and text below.
type block struct {
	lines   []string
	width   int
	caption []string
}

// block returns the panel as it stands among others.
func (p Panel) block(opts TerminalOptions) block {
	b := block{caption: p.Caption}
	if p.Picture != nil && opts.TrueColour {
		b.lines, b.width = pictureLines(p.Picture, opts)
	} else {
		b.lines, b.width = p.Map.lines(opts)
	}
	return b
}

// beside writes blocks beside each other, each in a column of that width.
func beside(out *strings.Builder, blocks []block, width int) {
	tallest, longest := 0, 0
	for _, b := range blocks {
		tallest, longest = max(tallest, len(b.lines)), max(longest, len(b.caption))
	}
	for y := range tallest + longest {
		var line strings.Builder
		for i, b := range blocks {
			text, used := "", 0
			switch {
			case y < len(b.lines):
				text, used = b.lines[y], b.width
			case y >= tallest && y-tallest < len(b.caption):
				text = shortened(b.caption[y-tallest], func(s string) bool { return utf8.RuneCountInString(s) <= width })
				used = utf8.RuneCountInString(text)
			}
			line.WriteString(text)
			if i < len(blocks)-1 {
				line.WriteString(strings.Repeat(" ", width-used+panelGap))
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}
