package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/model"
)

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	header := []string{"name", "what it is", "note"}
	rows := [][]string{{"a", "one two three four", ""}, {"longer", "five", "six"}}
	for _, test := range []struct {
		name    string
		columns int
		want    string
	}{
		{"no terminal", 0, "NAME    WHAT IT IS          NOTE\na       one two three four\nlonger  five                six\n"},
		{"room enough", 32, "NAME    WHAT IT IS          NOTE\na       one two three four\nlonger  five                six\n"},
		{"set closer", 30, "NAME   WHAT IT IS         NOTE\na      one two three four\nlonger five               six\n"},
		{"wrapped", 29, "NAME    WHAT IT IS     NOTE\na       one two three\n        four\nlonger  five           six\n"},
		{"no room for its words", 18, "a one two three\nfour\nlonger  five\n    six\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := (streams{out: &out, columns: test.columns}).table(header, rows); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestTableWithoutHeader(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := (streams{out: &out}).table([]string{"", ""}, [][]string{{"model", "mnist"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "model  mnist\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0.1234: "0.123", 12.34: "12.3", 999: "999", 3886.4: "3886", 18604: "18604"} {
		if got := rate(v); got != want {
			t.Errorf("rate(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestNoModels(t *testing.T) {
	t.Parallel()
	var out, problems bytes.Buffer
	s := streams{out: &out, err: &problems, outTerminal: true, env: func(name string) string {
		return map[string]string{"TSGO_MODEL_STORE": t.TempDir(), "XDG_DATA_HOME": t.TempDir()}[name]
	}}
	o := modelsListOptions{globals: &globals{}, streams: s}
	if err := o.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 || !strings.Contains(problems.String(), "there are no models (looked in ") {
		t.Errorf("out %q, err %q", out.String(), problems.String())
	}
}

func TestSettingsOnATerminal(t *testing.T) {
	t.Parallel()
	c := checked{Settings: []checkup{
		{Key: "drain", Value: "30", From: "default", State: config.Used, What: "seconds that requests have"},
		{Key: "drains", Value: "3", From: "my.properties:2", State: config.Strange, What: "no setting"},
	}}
	var out bytes.Buffer
	if err := c.settings(streams{out: &out, columns: 25}); err != nil {
		t.Fatal(err)
	}
	want := "drain  30  default\n    seconds that requests\n    have\ndrains 3 my.properties:2\n    unknown: no setting\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestStatsFitTheTerminal(t *testing.T) {
	t.Parallel()
	stats := []client.Stats{{Ref: model.Ref{Name: "resnet-18", Version: "1.0"}, Requests: 5, P50: 17500 * time.Microsecond, Batch: 2, Workers: 3, Memory: 20.7e6}}
	for columns, want := range map[int][]string{
		0:   {"MODEL", "VERSION", "MODE", "REQUESTS", "ERRORS", "P50", "P95", "P99", "QUEUE", "BATCH", "WORKERS", "MEMORY"},
		120: {"MODEL", "VERSION", "MODE", "REQUESTS", "ERRORS", "P50", "P95", "P99", "QUEUE", "BATCH", "WORKERS", "MEMORY"},
		80:  {"MODEL", "VERSION", "MODE", "REQUESTS", "ERRORS", "P50", "P95", "P99", "QUEUE", "BATCH"},
		72:  {"MODEL", "VERSION", "MODE", "REQUESTS", "ERRORS", "P50", "P95", "P99", "QUEUE"},
	} {
		var out bytes.Buffer
		if err := (&metricsOptions{streams: streams{columns: columns}}).statsTable(&out, stats); err != nil {
			t.Fatal(err)
		}
		header, _, _ := strings.Cut(out.String(), "\n")
		if diff := cmp.Diff(want, strings.Fields(header)); diff != "" {
			t.Errorf("%d columns (-want +got)\n%s", columns, diff)
		}
	}
}
