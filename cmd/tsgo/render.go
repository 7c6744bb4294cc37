package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwarp"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/tw"

	"github.com/tsgo/tsgo/pkg/fault"
)

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// format returns the form of output: the one asked for, or what suits where it goes.
func (g globals) format(s streams) (string, error) {
	switch g.output {
	case outputTable, outputJSON:
		return g.output, nil
	case "":
		if s.outTerminal {
			return outputTable, nil
		}
		return outputJSON, nil
	}
	return "", fmt.Errorf("%w: --output %q, want %s or %s", fault.Invalid, g.output, outputTable, outputJSON)
}

// gap is how many blanks there are between two columns, where there is room.
const gap = 2

// table writes rows under a header, columns without lines between them, and nothing behind the last one. A header without a
// word is left out.
func table(w io.Writer, header []string, rows [][]string, align ...tw.Align) error {
	return spacedTable(w, gap, header, rows, align)
}

// table writes a table to the standard output, as [fittedTable] does.
func (s streams) table(header []string, rows [][]string, align ...tw.Align) error {
	return fittedTable(s.out, s.columns, header, rows, align...)
}

// fittedTable writes a table that is limit wide at most; 0 is no limit. One that is wider is set closer. Where that is not
// enough, cells are wrapped between their words, those of the widest columns first. Where even the longest words have no room
// beside each other, the last column stands below the others.
func fittedTable(w io.Writer, limit int, header []string, rows [][]string, align ...tw.Align) error {
	switch {
	case limit == 0 || tableWidth(header, rows, gap) <= limit:
		return spacedTable(w, gap, header, rows, align)
	case tableWidth(header, rows, 1) <= limit:
		return spacedTable(w, 1, header, rows, align)
	}
	if wrapped, ok := wrapCells(header, rows, limit); ok {
		return spacedTable(w, gap, header, wrapped, align)
	}
	return stackedTable(w, limit, rows)
}

func spacedTable(w io.Writer, gap int, header []string, rows [][]string, align []tw.Align) error {
	var out bytes.Buffer
	t := tablewriter.NewTable(&out,
		tablewriter.WithRendition(tw.Rendition{
			Borders: tw.BorderNone,
			Settings: tw.Settings{
				Lines:      tw.Lines{ShowTop: tw.Off, ShowBottom: tw.Off, ShowHeaderLine: tw.Off, ShowFooterLine: tw.Off},
				Separators: tw.Separators{ShowHeader: tw.Off, ShowFooter: tw.Off, BetweenRows: tw.Off, BetweenColumns: tw.Off},
			},
		}),
		tablewriter.WithPadding(tw.Padding{Right: strings.Repeat(" ", gap), Overwrite: true}),
		tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{Global: tw.AlignLeft, PerColumn: align}),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithHeaderAutoFormat(tw.Off),
	)
	if strings.Join(header, "") != "" {
		upper := make([]string, len(header))
		for i, name := range header {
			upper[i] = strings.ToUpper(name)
		}
		t.Header(upper)
	}
	if err := t.Bulk(rows); err != nil {
		return fmt.Errorf("write a table: %w", err)
	}
	if err := t.Render(); err != nil {
		return fmt.Errorf("write a table: %w", err)
	}
	for line := range strings.Lines(out.String()) {
		if _, err := io.WriteString(w, strings.TrimRight(line, " \n")+"\n"); err != nil {
			return err //nolint:wrapcheck // of the standard output
		}
	}
	return nil
}

// columnWidths returns the widest of each column, as measure tells it of a cell.
func columnWidths(header []string, rows [][]string, measure func(cell string) int) []int {
	widths := make([]int, len(header))
	for j := range widths {
		widths[j] = measure(header[j])
		for _, row := range rows {
			widths[j] = max(widths[j], measure(row[j]))
		}
	}
	return widths
}

// tableWidth returns how wide a table is.
func tableWidth(header []string, rows [][]string, gap int) int {
	return sum(columnWidths(header, rows, twwidth.Width)) + gap*(len(header)-1)
}

func sum(widths []int) (total int) {
	for _, width := range widths {
		total += width
	}
	return total
}

// longestWord returns the width of the longest word of a cell.
func longestWord(cell string) (longest int) {
	for word := range strings.FieldsSeq(cell) {
		longest = max(longest, twwidth.Width(word))
	}
	return longest
}

// readable is how wide the last column of a table has to be, where it has as much to say.
const readable = 28

// wrapCells returns the rows of a table with their cells wrapped between words, for it to be as wide as limit at most: the
// widest columns give way first, and no word is broken. It returns false where that cannot be.
func wrapCells(header []string, rows [][]string, limit int) (wrapped [][]string, ok bool) {
	widths, least := columnWidths(header, rows, twwidth.Width), columnWidths(header, rows, longestWord)
	last := len(header) - 1
	least[last] = max(least[last], min(widths[last], readable))
	for total := sum(widths) + gap*last; total > limit; total-- {
		widest := -1
		for j := range widths {
			if widths[j] > least[j] && (widest < 0 || widths[j] > widths[widest]) {
				widest = j
			}
		}
		if widest < 0 {
			return nil, false
		}
		widths[widest]--
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for j, cell := range row {
			cells[j] = strings.Join(wrap(cell, widths[j]), "\n")
		}
		wrapped = append(wrapped, cells)
	}
	return wrapped, true
}

// wrap returns the lines of a text that is filled up to a width. A word that is longer stays whole.
func wrap(text string, width int) []string {
	lines, _ := twwarp.WrapString(text, width)
	return lines
}

// stackedTable writes what a table has no room for: the cells of a row one behind the other, and the last one below them.
func stackedTable(w io.Writer, limit int, rows [][]string) error {
	const indent = "    "
	for _, row := range rows {
		cells := slices.DeleteFunc(slices.Clone(row[:len(row)-1]), func(cell string) bool { return cell == "" })
		head := strings.Join(cells, strings.Repeat(" ", gap))
		if twwidth.Width(head) > limit {
			head = strings.Join(wrap(head, limit), "\n")
		}
		if last := row[len(row)-1]; last != "" {
			head += "\n" + indent + strings.Join(wrap(last, max(limit-len(indent), 1)), "\n"+indent)
		}
		if _, err := fmt.Fprintln(w, head); err != nil {
			return err //nolint:wrapcheck // of the standard output
		}
	}
	return nil
}

// writeRows writes labelled lines: a label, and what it is of.
func writeRows(w io.Writer, rows [][]string) error {
	for _, row := range rows {
		if _, err := fmt.Fprintf(w, "%-8s %s\n", row[0], row[1]); err != nil {
			return err //nolint:wrapcheck // of the standard output
		}
	}
	return nil
}

// writeJSON writes v for programs to read.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// class is one member of a classifier's answer.
type class struct {
	label string
	score float64
}

// classes reads {label: number, ...} in its order; ok is false for any other answer.
func classes(body []byte) (all []class, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		label, err := d.Token()
		if err != nil {
			return nil, false
		}
		score, err := d.Token()
		number, isNumber := score.(float64)
		if err != nil || !isNumber {
			return nil, false
		}
		all = append(all, class{label.(string), number})
	}
	return all, len(all) > 0
}

// percent writes a probability for people.
func percent(p float64) string { return fmt.Sprintf("%5.1f %%", 100*p) }

// rate writes how many there are a second for people: three digits at least, and never an exponent.
func rate(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// bar draws a share of 1 as blocks of eighths, n cells wide at most.
func bar(share float64, n int) string {
	eighths := int(share*float64(n)*8 + 0.5)
	if eighths < 1 {
		return ""
	}
	text := strings.Repeat("█", min(eighths/8, n))
	if rest := eighths % 8; rest > 0 && eighths/8 < n {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// size writes a number of bytes for people.
func size(n int64) string {
	const unit = 1000
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f kB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MB", float64(n)/unit/unit)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/unit/unit/unit)
}
