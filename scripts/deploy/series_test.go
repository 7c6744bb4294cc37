package deploy_test

import (
	"bytes"
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// Series are read every step, from the beginning of Unix time to the end, at which queries are evaluated.
const (
	step = 15 * time.Second
	end  = 15 * time.Minute
)

// series is a storage of Prometheus in memory. It does not change once it is asked.
type series []promql.Series

// Querier implements storage.Queryable. It gives out all samples, and the engine takes those that it needs.
func (s series) Querier(_, _ int64) (storage.Querier, error) { return querier{series: s}, nil }

type querier struct {
	storage.LabelQuerier // nil: label values are not asked for

	series series
}

func (querier) Close() error { return nil }

// Select implements storage.Querier.
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := q.series.matching(matchers)
	slices.SortFunc(found, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	return &selected{series: found, at: -1}
}

// matching returns the series that a selector selects.
func (s series) matching(matchers []*labels.Matcher) series {
	var found series
	for _, one := range s {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(one.Metric.Get(m.Name)) }) {
			found = append(found, one)
		}
	}
	return found
}

// selected implements storage.SeriesSet.
type selected struct {
	series series
	at     int
}

func (s *selected) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *selected) At() storage.Series                { return promql.NewStorageSeries(s.series[s.at]) }
func (s *selected) Err() error                        { return nil }
func (s *selected) Warnings() annotations.Annotations { return nil }

var language = parser.NewParser(parser.Options{})

var queries = promql.NewEngine(promql.EngineOpts{
	MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: language,
})

// eval evaluates an expression at the end. What the engine warns of, as of a counter that is no counter, is a failure.
func (s series) eval(t *testing.T, expr string) promql.Vector {
	t.Helper()
	query, err := queries.NewInstantQuery(t.Context(), s, nil, expr, time.UnixMilli(end.Milliseconds()))
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer query.Close()
	result := query.Exec(t.Context())
	if result.Err != nil {
		t.Fatalf("%s: %v", expr, result.Err)
	}
	for _, warning := range result.Warnings.AsErrors() {
		if !strings.Contains(warning.Error(), `name does not end in _total/_sum/_count/_bucket: "Requests`) { // counters of TorchServe's
			t.Errorf("%s: %v", expr, warning)
		}
	}
	switch value := result.Value.(type) {
	case promql.Vector:
		return slices.Clone(value)
	case promql.Scalar:
		return promql.Vector{{F: value.V}}
	}
	t.Fatalf("%s: a %s, want a vector", expr, result.Value.Type())
	return nil
}

// collected is what Prometheus has of a server: its page as it was before and, for the last minutes, as it was after.
// The labels are those of the target, in Kubernetes.
func collected(t *testing.T) series {
	t.Helper()
	got, err := measured()
	if err != nil {
		t.Fatal(err)
	}
	target := []string{
		"job", "tsgo", "instance", "10.0.0.7:8082", "namespace", "models", "pod", "tsgo-7d9f", "service", "tsgo", "container", "tsgo", "endpoint", "metrics",
	}
	var all series
	for i, page := range [][]byte{got.before, got.after} {
		for _, sample := range samples(t, page) {
			name := labels.NewBuilder(labelsOf(sample.Metric))
			for i := 0; i < len(target); i += 2 {
				name.Set(target[i], target[i+1])
			}
			all = all.add(promql.Series{Metric: name.Labels(), Floats: points(i == 1, float64(sample.Value))})
		}
	}
	up := labels.NewBuilder(labels.FromStrings(append([]string{"__name__", "up"}, target...)...))
	return append(all, promql.Series{Metric: up.Labels(), Floats: points(true, 1)})
}

// add adds samples to the series of their name and labels, which may be new.
func (s series) add(more promql.Series) series {
	at := slices.IndexFunc(s, func(one promql.Series) bool { return labels.Equal(one.Metric, more.Metric) })
	if at < 0 {
		return append(s, more)
	}
	s[at].Floats = append(s[at].Floats, more.Floats...)
	return s
}

// samples are those of a page.
func samples(t *testing.T, page []byte) model.Vector {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	all, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, slices.Collect(maps.Values(families))...)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func labelsOf(metric model.Metric) labels.Labels {
	all := map[string]string{}
	for name, value := range metric {
		all[string(name)] = string(value)
	}
	return labels.FromMap(all)
}

// points are a value at each step, until shortly before the end or from then on.
func points(late bool, value float64) []promql.FPoint {
	const middle = end - 150*time.Second
	var all []promql.FPoint
	for at := time.Duration(0); at <= end; at += step {
		if late == (at >= middle) {
			all = append(all, promql.FPoint{T: at.Milliseconds(), F: value})
		}
	}
	return all
}

// written are series in the notation of Prometheus's rule tests: 'name{label="value"} 0+10x60', a sample each step.
func written(t *testing.T, lines []string) series {
	t.Helper()
	var all series
	for _, line := range lines {
		metric, values, err := language.ParseSeriesDesc(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		one := promql.Series{Metric: metric}
		for i, value := range values {
			if !value.Omitted {
				one.Floats = append(one.Floats, promql.FPoint{T: (time.Duration(i) * step).Milliseconds(), F: value.Value})
			}
		}
		all = append(all, one)
	}
	return all
}

// tells fails unless every selector of an expression selects something of s and the expression has a value.
func (s series) tells(t *testing.T, expr string) {
	t.Helper()
	parsed, err := language.ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v", expr, err)
		return
	}
	known := kinds(t)
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		if len(s.matching(selector.LabelMatchers)) == 0 {
			t.Errorf("%s: the server exports nothing that %s selects", expr, selector)
		}
		for _, m := range selector.LabelMatchers {
			s.checkMatcher(t, expr, selector.Name, m, known)
		}
		return nil
	})
	for _, side := range sides(parsed) {
		values := s.eval(t, side)
		if !slices.ContainsFunc(values, func(sample promql.Sample) bool { return !math.IsNaN(sample.F) }) {
			t.Errorf("%s: %s has no value: %v", expr, side, values)
		}
	}
}

// checkMatcher fails where a label is none of the metric's, and where a kind of failure is none.
func (s series) checkMatcher(t *testing.T, expr, metric string, m *labels.Matcher, known map[string]bool) {
	t.Helper()
	has := slices.ContainsFunc(s, func(one promql.Series) bool {
		return one.Metric.Get("__name__") == metric && one.Metric.Has(m.Name)
	})
	if !has {
		t.Errorf("%s: %s has no label %s", expr, metric, m.Name)
	}
	if m.Name != "kind" {
		return
	}
	values := m.SetMatches()
	if len(values) == 0 {
		values = []string{m.Value}
	}
	for _, kind := range values {
		if !known[kind] {
			t.Errorf("%s: %q is no kind of failure", expr, kind)
		}
	}
}

// sides are the parts of an expression that have a value whether or not what it compares is true.
func sides(expr parser.Expr) []string {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return sides(e.Expr)
	case *parser.BinaryExpr:
		if e.Op.IsComparisonOperator() && !e.ReturnBool || e.Op == parser.LAND || e.Op == parser.LUNLESS {
			return append(sides(e.LHS), sides(e.RHS)...)
		}
	}
	return []string{expr.String()}
}
