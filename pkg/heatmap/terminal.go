package heatmap

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"strings"
)

// TerminalOptions say what a terminal can show.
type TerminalOptions struct {
	Width      int  // columns to use at most; 0: 40
	Height     int  // lines to use at most, the legend aside; 0: as many as the width asks for
	TrueColour bool // 24-bit colours and block characters; without it the map is made of plain characters
}

const (
	defaultWidth = 40

	// The characters of a map without colour, from weak to strong: signs for, letters against.
	signs   = ".:-=+*#%@"
	letters = "icvonmwMW"
)

// Terminal writes the map as lines of cells, and a line that says how to read them. A cell is taken to be twice as high
// as it is wide. It returns what writing to w returns.
func (m Map) Terminal(w io.Writer, opts TerminalOptions) error {
	var out strings.Builder
	lines, _ := m.lines(opts)
	for _, line := range lines {
		fmt.Fprintln(&out, strings.TrimRight(line, " "))
	}
	if opts.TrueColour {
		m.legendInColour(&out)
	} else {
		m.legend(&out)
	}
	return write(w, out.String())
}

// lines returns the map as lines of cells, and how many cells each has.
func (m Map) lines(opts TerminalOptions) (all []string, columns int) {
	columns, lines := opts.cells(m.width, m.height)
	if m.height > 1 { // neighbours in a list have little to do with each other
		m = m.smoothed()
	}
	if opts.TrueColour {
		small := m.resized(columns, 2*lines).scaled()
		return blocks(columns, lines, func(x, y int) color.RGBA { return night(small.values[y*columns+x]).opaque() }), columns
	}
	small := m.resized(columns, lines).scaled()
	for y := range lines {
		line := make([]byte, columns)
		for x := range line {
			line[x] = letter(small.values[y*columns+x])
		}
		all = append(all, string(line))
	}
	return all, columns
}

// Blocks writes a picture, an overlay for one, as lines of block characters in 24-bit colours: each is two pixels, one
// above the other. opts.TrueColour is taken for granted. It returns what writing to w returns.
func Blocks(w io.Writer, picture image.Image, opts TerminalOptions) error {
	if picture.Bounds().Empty() {
		return nil
	}
	lines, _ := pictureLines(picture, opts)
	return write(w, strings.Join(lines, "\n")+"\n")
}

// pictureLines returns a picture that is not empty as lines of cells, and how many cells each has.
func pictureLines(picture image.Image, opts TerminalOptions) (all []string, columns int) {
	bounds := picture.Bounds()
	columns, lines := opts.cells(bounds.Dx(), bounds.Dy())
	var channels [3]Map
	for c := range channels {
		channels[c] = Map{bounds.Dx(), bounds.Dy(), make([]float64, 0, bounds.Dx()*bounds.Dy())}
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			r, g, b, _ := picture.At(x, y).RGBA()
			for c, v := range [3]uint32{r, g, b} {
				channels[c].values = append(channels[c].values, float64(v)/257)
			}
		}
	}
	for c := range channels {
		channels[c] = channels[c].resized(columns, 2*lines)
	}
	return blocks(columns, lines, func(x, y int) color.RGBA {
		i := y*columns + x
		return shade{channels[0].values[i], channels[1].values[i], channels[2].values[i]}.opaque()
	}), columns
}

// cells returns how many columns and lines a picture of that size takes.
func (o TerminalOptions) cells(width, height int) (columns, lines int) {
	columns = o.Width
	if columns <= 0 {
		columns = defaultWidth
	}
	tall := func(columns int) int {
		return max(1, int(math.Round(float64(columns)*float64(height)/float64(width)/2)))
	}
	lines = tall(columns)
	if o.Height > 0 && lines > o.Height {
		lines = o.Height
		columns = min(columns, max(1, int(math.Round(2*float64(lines)*float64(width)/float64(height)))))
	}
	return columns, lines
}

// blocks returns lines of cells of two pixels each: the foreground is the upper one, the background the lower one.
func blocks(columns, lines int, at func(x, y int) color.RGBA) []string {
	all := make([]string, lines)
	for y := range lines {
		var line strings.Builder
		for x := range columns {
			cell(&line, at(x, 2*y), at(x, 2*y+1))
		}
		line.WriteString("\x1b[0m")
		all[y] = line.String()
	}
	return all
}

func cell(out *strings.Builder, upper, lower color.RGBA) {
	fmt.Fprintf(out, "\x1b[38;2;%d;%d;%d;48;2;%d;%d;%dm▀", upper.R, upper.G, upper.B, lower.R, lower.G, lower.B)
}

// letter returns the character of a value from -1 to 1.
func letter(v float64) byte {
	ramp := signs
	if v < 0 {
		ramp = letters
	}
	level := int(math.Round(math.Abs(v) * float64(len(ramp))))
	if level == 0 {
		return ' '
	}
	return ramp[level-1]
}

func (m Map) legend(out *strings.Builder) {
	fmt.Fprintf(out, "weak to strong, for: %s", signs)
	if m.Signed() {
		fmt.Fprintf(out, "  against: %s", letters)
	}
	fmt.Fprintln(out)
}

func (m Map) legendInColour(out *strings.Builder) {
	const half = 6
	first, word := -half, "against "
	if !m.Signed() {
		first, word = 0, "nothing "
	}
	out.WriteString(word)
	for i := first; i <= half; i++ {
		c := night(float64(i) / half).opaque()
		cell(out, c, c)
	}
	out.WriteString("\x1b[0m for\n")
}

func write(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write heat map: %w", err)
	}
	return nil
}
