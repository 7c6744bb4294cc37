package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/docs"
)

// TestManualCommands parses every command line that the manual and the README show, as the program would.
func TestManualCommands(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{"README": string(readme)}
	for _, topic := range docs.Topics() {
		pages[topic.Name] = topic.Text
	}
	parsed := 0
	for name, text := range pages {
		for _, line := range commandLines(text) {
			parsed++
			if err := parseLine(line); err != nil {
				t.Errorf("%s.md shows %q: %v", name, line, err)
			}
		}
	}
	if parsed < 50 {
		t.Errorf("found %d command lines, want more: are they still written as they were?", parsed)
	}
}

// TestManualVariables looks up every variable of the environment that the manual, the README and the pages on deploying name.
func TestManualVariables(t *testing.T) {
	t.Parallel()
	pages := map[string]string{}
	for _, topic := range docs.Topics() {
		pages[topic.Name] = topic.Text
	}
	for _, name := range []string{"README.md", "scripts/deploy/README.md", "scripts/deploy/compose.yaml", "scripts/deploy/Dockerfile"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = string(text)
	}
	known := append(clientVariables(), "TSGO_ONNXRUNTIME")
	for name, text := range pages {
		for _, variable := range regexp.MustCompile(`TSGO_[A-Z_]*[A-Z]`).FindAllString(text, -1) {
			for _, wrong := range config.Unknown([]string{variable + "=1"}, known...) {
				t.Errorf("%s: %s", name, wrong)
			}
		}
	}
}

// commandLines returns the command lines of tsgo that a page shows: in its code blocks, and between backquotes.
func commandLines(text string) []string {
	var lines []string
	text = strings.ReplaceAll(text, "\\\n", " ")
	for _, found := range regexp.MustCompile(`(?m)^ *(?:\$ )?(?:go run \./cmd/)?(tsgo (?:[a-z-]+).*)$`).FindAllStringSubmatch(blocksOf(text), -1) {
		lines = append(lines, regexp.MustCompile(` (?:\||>|#|&&) .*`).ReplaceAllString(found[1], ""))
	}
	for _, found := range regexp.MustCompile("`(tsgo [a-z][^`]*)`").FindAllStringSubmatch(text, -1) {
		lines = append(lines, found[1])
	}
	return lines
}

// blocksOf returns the code blocks of a page.
func blocksOf(text string) string {
	return strings.Join(regexp.MustCompile("(?ms)^ *```.*?^ *```$").FindAllString(text, -1), "\n")
}

// parseLine finds the command of a line and parses its flags.
func parseLine(line string) error {
	var args []string
	for _, word := range regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`).FindAllString(line, -1)[1:] {
		args = append(args, strings.Trim(word, `"'`))
	}
	root := quietRoot()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if cmd.Name() == "help" {
		return askHelp(root, args[1:])
	}
	if err := cmd.ParseFlags(rest); err != nil && !errors.Is(err, pflag.ErrHelp) {
		return err
	}
	if given := cmd.Flags().Args(); cmd.HasSubCommands() && len(given) > 0 {
		return group(cmd, given)
	}
	return nil
}

// quietRoot returns the commands, with their output nowhere.
func quietRoot() *cobra.Command {
	root := newRoot(streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard, env: func(string) string { return "" }})
	root.InitDefaultHelpCmd()
	return root
}

// askHelp runs help, but for its placeholders.
func askHelp(root *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] == strings.ToUpper(args[0]) {
		return nil
	}
	root.SetArgs(append([]string{"help"}, args...))
	return root.Execute()
}

func TestCommandLines(t *testing.T) {
	t.Parallel()
	text := "```console\n$ tsgo serve --stop   # ends it\n$ go run ./cmd/tsgo predict a b \\\n    --server x > y\nanswer\n```\nSay `tsgo help`, or `tsgo`."
	want := []string{"tsgo serve --stop  ", "tsgo predict a b      --server x", "tsgo help"}
	if got := commandLines(text); !slices.Equal(got, want) {
		t.Errorf("command lines %q, want %q", got, want)
	}
	for line, wrong := range map[string]string{
		"tsgo serv": "unknown command", "tsgo serve --stopp": "unknown flag", "tsgo models shwo x": "unknown command", "tsgo help torchsreve": "no page",
	} {
		if err := parseLine(line); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %s", line, err, wrong)
		}
	}
}

// TestServeFlags looks for each flag of serve in torchserve.md: a row of its own, or that of the setting it is named after.
func TestServeFlags(t *testing.T) {
	t.Parallel()
	topic, ok := docs.Find("torchserve")
	if !ok {
		t.Fatal("there is no page torchserve")
	}
	settings := map[string]string{}
	for _, s := range config.Table() {
		settings[s.Flag()] = s.Key
	}
	for _, c := range quietRoot().Commands() {
		if c.Name() != "serve" {
			continue
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			key, isSetting := settings[f.Name]
			row := "`--" + f.Name + "`"
			if isSetting && strings.ReplaceAll(key, "_", "-") == f.Name {
				row = "`" + key + "`"
			}
			if f.Name != "help" && !regexp.MustCompile(`(?m)^\|[^|]*`+row).MatchString(topic.Text) {
				t.Errorf("torchserve.md has no row with %s", row)
			}
		})
	}
}

// TestPages draws every page: nothing is left of links, and no table is wider than a terminal.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, topic := range docs.Topics() {
		var out bytes.Buffer
		if err := renderPage(&out, topic.Text, pageWidth); err != nil {
			t.Errorf("%s: %v", topic.Name, err)
		}
		if left := regexp.MustCompile("\\]\\([a-z./]+\\.md|\\|---|```").FindString(out.String()); left != "" {
			t.Errorf("%s on a terminal has %q", topic.Name, left)
		}
	}
}

func TestRenderPage(t *testing.T) {
	t.Parallel()
	const page = "# Title\n\nA [link](a.md#b) and **more**. ![a cat](cat.png)\n\n```console\n$ tsgo [x](y) | z\n```\n\n" +
		"| key | what |\n|---|---|\n| `a\\|b` | short |\n| `c` | one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen |\n"
	const want = "# Title\n\nA link and more. [picture: a cat]\n\n    $ tsgo [x](y) | z\n\n" +
		"KEY    WHAT\n`a|b`  short\n`c`    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen\n       seventeen eighteen\n"
	var out bytes.Buffer
	if err := renderPage(&out, page, 110); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// TestHelpFits asks every command for its help, and every page: nothing but examples is wider than the terminal.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	for _, width := range []int{80, 120} {
		root := newRoot(streams{out: io.Discard, err: io.Discard, columns: width, env: func(string) string { return "" }})
		for _, name := range namesUnder(root) {
			var out bytes.Buffer
			root.SetOut(&out)
			root.SetArgs(append(strings.Fields(name[0]), "--help"))
			if topic, ok := docs.Find(name[0]); ok {
				if err := renderPage(&out, topic.Text, width); err != nil {
					t.Fatal(err)
				}
			} else if err := root.Execute(); err != nil {
				t.Fatalf("%s: %v", name[0], err)
			}
			for line := range strings.Lines(out.String()) {
				if line = strings.TrimRight(line, "\n"); utf8.RuneCountInString(line) > width && !strings.HasPrefix(line, "  ") {
					t.Errorf("at %d columns, %s has %q", width, name[0], line)
				}
			}
			if strings.Contains(out.String(), "(default )") {
				t.Errorf("%s tells of a default that is nothing", name[0])
			}
		}
	}
}

func TestReflow(t *testing.T) {
	t.Parallel()
	const text = "# A heading that is wide\n\nOne two\nthree four five.\n- six seven eight nine\n  ten\n- b\n\n  code is not filled\n1. an item\n   goes on"
	const want = "# A heading that is wide\n\nOne two three\nfour five.\n- six seven eight\n  nine ten\n- b\n\n  code is not filled\n1. an item goes\n   on"
	if got := reflow(text, 17); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := reflow(text, 40); got != text {
		t.Errorf("a text that fits became\n%s", got)
	}
}
