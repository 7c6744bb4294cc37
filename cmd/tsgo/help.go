package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/docs"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// newHelp returns the command that shows a page of the manual, or else the help of a command.
func newHelp(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "help [TOPIC | COMMAND...]",
		Short: "Read a page of the manual, or the help of a command",
		Long: `Show a page of the manual. Without one, list the commands and the pages; with a command, show that command's help. Where a
command and a page have one name, this is the page, and 'tsgo COMMAND --help' the command's.`,
		Example: `  tsgo help torchserve
  tsgo help models scale`,
		ValidArgsFunction: completeHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if topic, ok := docs.Find(args[0]); ok {
					return showTopic(cmd, topic, s.helpWidth())
				}
			}
			return helpOfCommand(cmd.Root(), args)
		},
	}
}

func showTopic(cmd *cobra.Command, topic docs.Topic, width int) error {
	text := topic.Text
	for _, sub := range cmd.Root().Commands() {
		if sub.Name() == topic.Name {
			text += fmt.Sprintf("\nThe flags of the command: tsgo %s --help\n", sub.Name())
		}
	}
	return renderPage(cmd.OutOrStdout(), text, width)
}

// helpOfCommand shows the help of the command that args name.
func helpOfCommand(root *cobra.Command, args []string) error {
	found, rest, err := root.Find(args)
	if err != nil || len(rest) > 0 {
		name := strings.Join(args, " ")
		var known []string
		for _, c := range namesUnder(root) {
			known = append(known, c[0])
		}
		return fmt.Errorf("%w: there is no command and no page %q%s; see 'tsgo help'", fault.Invalid, name, nearest.Hint(name, known))
	}
	found.InitDefaultHelpFlag() // as for --help
	return found.Help()         //nolint:wrapcheck // of the standard output
}

// namesUnder returns what help can be asked about, and what each is: the pages of the manual and every command.
func namesUnder(root *cobra.Command) [][2]string {
	var names [][2]string
	for _, topic := range docs.Topics() {
		names = append(names, [2]string{topic.Name, topic.About})
	}
	var add func(prefix string, cmd *cobra.Command)
	add = func(prefix string, cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, [2]string{prefix + sub.Name(), sub.Short})
				add(prefix+sub.Name()+" ", sub)
			}
		}
	}
	add("", root)
	return names
}

// completeHelp completes a page or a command, of which the second word too.
func completeHelp(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	prefix := strings.Join(append(args, ""), " ")
	var found []string
	seen := map[string]bool{}
	for _, name := range namesUnder(cmd.Root()) {
		word, ok := strings.CutPrefix(name[0], prefix)
		if ok && strings.HasPrefix(word, toComplete) && !strings.Contains(word, " ") && !seen[word] {
			seen[word] = true
			found = append(found, word+"\t"+name[1])
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// listTopics adds the pages of the manual to what help says of the program itself.
func listTopics(root *cobra.Command) {
	usage := root.UsageFunc()
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		if err := usage(cmd); err != nil || cmd != root {
			return err
		}
		out := tabwriter.NewWriter(cmd.OutOrStderr(), 0, 0, 3, ' ', 0)
		fmt.Fprint(out, "\nPages of the manual:\n") //nolint:errcheck // Flush tells
		for _, topic := range docs.Topics() {
			fmt.Fprintf(out, "  %s\t%s\n", topic.Name, topic.About) //nolint:errcheck // Flush tells
		}
		fmt.Fprint(out, "\nUse \"tsgo help PAGE\" to read one.\n") //nolint:errcheck // Flush tells
		return out.Flush()
	})
}

// The width of help and of pages: what their authors write, and what nothing is made narrower than.
const (
	pageWidth = 120
	leastPage = 60
)

// helpWidth returns how wide help and pages are.
func (s streams) helpWidth() int {
	if s.columns == 0 {
		return pageWidth
	}
	return min(max(s.columns, leastPage), pageWidth)
}

// fitHelp makes the help of every command as wide as width.
func fitHelp(root *cobra.Command, width int) {
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages ", fmt.Sprintf("FlagUsagesWrapped %d ", width)))
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		about := strings.TrimSpace(cmp.Or(cmd.Long, cmd.Short))
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s", reflow(about, width), cmd.UsageString()) //nolint:errcheck // of the standard output
	})
}

// item is the mark of an item of a list.
var item = regexp.MustCompile(`^(?:[-*]|\d+\.) +`)

// reflow fills the paragraphs and lists of a text up to width. A text that is as narrow stays as it is, and so do indented
// lines, headings and what stands in columns.
func reflow(text string, width int) string {
	lines := strings.Split(text, "\n")
	if !slices.ContainsFunc(lines, func(line string) bool { return twwidth.Width(line) > width }) {
		return text
	}
	var out []string
	for i := 0; i < len(lines); i++ {
		mark := item.FindString(lines[i])
		if mark == "" && (lines[i] == "" || strings.ContainsRune(" #", rune(lines[i][0]))) {
			out = append(out, lines[i])
			continue
		}
		hang := strings.Repeat(" ", len(mark))
		paragraph := strings.TrimPrefix(lines[i], mark)
		for i+1 < len(lines) && follows(lines[i+1], hang) {
			i++
			paragraph += " " + strings.TrimSpace(lines[i])
		}
		out = append(out, mark+strings.Join(wrap(paragraph, width-len(mark)), "\n"+hang))
	}
	return strings.Join(out, "\n")
}

// follows tells whether a line goes on with the paragraph above it, whose lines are indented by hang.
func follows(line, hang string) bool {
	rest, ok := strings.CutPrefix(line, hang)
	return ok && rest != "" && rest[0] != ' ' && rest[0] != '#' && item.FindString(line) == ""
}

// link is a link or a picture of Markdown.
var link = regexp.MustCompile(`(!?)\[([^\]]*)\]\(([^)]*)\)`)

// renderPage writes a page for a terminal: Markdown that reads well as it is, with the links' targets left out, the tables
// drawn in columns, and nothing wider than width but code.
func renderPage(w io.Writer, markdown string, width int) error {
	var out bytes.Buffer
	var prose []string
	flush := func() {
		if len(prose) > 0 {
			out.WriteString(reflow(strings.Join(prose, "\n"), width) + "\n")
		}
		prose = nil
	}
	code := false
	lines := strings.Split(strings.TrimRight(markdown, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			code = !code
		case code:
			flush()
			out.WriteString("    " + line + "\n")
		case strings.HasPrefix(line, "|"):
			flush()
			end := i
			for end < len(lines) && strings.HasPrefix(lines[end], "|") {
				end++
			}
			if err := renderTable(&out, lines[i:end], width); err != nil {
				return err
			}
			i = end - 1
		default:
			prose = append(prose, plainText(line))
		}
	}
	flush()
	_, err := out.WriteTo(w)
	return err //nolint:wrapcheck // of the standard output
}

// plainText returns a line without the targets of its links.
func plainText(line string) string {
	line = link.ReplaceAllStringFunc(line, func(found string) string {
		parts := link.FindStringSubmatch(found)
		if parts[1] != "" {
			return "[picture: " + parts[2] + "]"
		}
		return parts[2]
	})
	return strings.ReplaceAll(line, "**", "")
}

// renderTable writes the lines of a table of Markdown in columns.
func renderTable(w io.Writer, lines []string, width int) error {
	var rows [][]string
	for i, line := range lines {
		if i == 1 {
			continue // the line between the header and the rows
		}
		cells := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, "\x00"), "|"), "|")
		for j, cell := range cells {
			cells[j] = plainText(strings.ReplaceAll(strings.TrimSpace(cell), "\x00", "|"))
		}
		rows = append(rows, cells)
	}
	return fittedTable(w, width, rows[0], rows[1:])
}
