// Package docs is the manual: one Markdown page a topic, readable where it lies and by 'tsgo help TOPIC'. README.md is the
// index, and says in which order the topics come and what each is about in one line.
package docs

import (
	"embed"
	"fmt"
	"path"
	"regexp"
	"strings"
)

//go:embed *.md
var pages embed.FS

// index is the page that lists the others.
const index = "README.md"

// Topic is one page of the manual.
type Topic struct {
	Name  string // torchserve: the page's file without .md
	About string // what it is about, in one line
	Text  string // the page, as Markdown
}

// entry is a line of the index: - [torchserve](torchserve.md): coming from TorchServe.
var entry = regexp.MustCompile(`(?m)^- \[([a-z]+)\]\(([a-z]+\.md)\): (.+?)\.?$`)

// Topics returns the pages in the order of the index. It panics where the index names a page that is not there, which the
// tests of this package rule out.
func Topics() []Topic {
	var topics []Topic
	for _, found := range entry.FindAllStringSubmatch(read(index), -1) {
		topics = append(topics, Topic{Name: found[1], About: found[3], Text: read(found[2])})
	}
	return topics
}

// Find returns the topic of a name, in any case and with or without .md.
func Find(name string) (Topic, bool) {
	name = strings.TrimSuffix(strings.ToLower(path.Base(name)), ".md")
	for _, t := range Topics() {
		if t.Name == name {
			return t, true
		}
	}
	return Topic{}, false
}

func read(name string) string {
	text, err := pages.ReadFile(name)
	if err != nil {
		panic(fmt.Sprintf("the manual: %v", err))
	}
	return string(text)
}
