package deploy_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	grafana "github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// readDashboard reads the dashboard as Grafana's schema has it; what that does not know is a failure.
func readDashboard(t *testing.T) dashboard.Dashboard { //nolint:staticcheck // every Grafana reads this version, from files and from its sidecar
	t.Helper()
	cog.NewRuntime().RegisterPanelcfgVariant(timeseries.VariantConfig())
	cog.NewRuntime().RegisterPanelcfgVariant(stat.VariantConfig())
	cog.NewRuntime().RegisterDataqueryVariant(grafana.VariantConfig())
	text := read(t, "grafana/dashboard.json")
	var strict, d dashboard.Dashboard                                             //nolint:staticcheck // as above
	if err := strict.UnmarshalJSONStrict(text); err != nil && err.Error() != "" { // it returns a list, which may be empty, and then leaves things out
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
	return d
}

// TestDashboard runs every query of the dashboard against what a real server exports, with Grafana's variables as they are
// for one model of it and for all.
func TestDashboard(t *testing.T) {
	t.Parallel()
	d, s := readDashboard(t), collected(t)
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Type == dashboard.VariableTypeQuery {
			s.lists(t, *v.Query)
		}
	}
	panels, queries := 0, map[string]bool{}
	for _, p := range d.Panels {
		if p.RowPanel != nil {
			continue
		}
		panels++
		for _, query := range queriesOf(t, p.Panel) {
			queries[query] = true
			for _, choice := range []map[string]string{
				{"job": "tsgo", "instance": "10.0.0.7:8082", "model": "mnist"}, {"job": ".*", "instance": ".*", "model": ".*"},
			} {
				s.tells(t, fill(t, query, variables, choice))
			}
		}
	}
	for _, a := range d.Annotations.List {
		s.tells(t, fill(t, *a.Expr, variables, map[string]string{"job": ".*", "instance": ".*"}))
	}
	if panels < 20 || len(queries) < panels {
		t.Errorf("%d panels with %d queries, want 20 or more, each with one or more", panels, len(queries))
	}
}

// queriesOf returns the queries of a panel, which says what it shows and in which unit.
func queriesOf(t *testing.T, p *dashboard.Panel) []string {
	t.Helper()
	if p.Title == nil || *p.Title == "" || p.Description == nil || *p.Description == "" {
		t.Errorf("panel %v has no title or no description", *p.Id)
		return nil
	}
	if unit := p.FieldConfig.Defaults.Unit; unit == nil || !slices.Contains([]string{"none", "reqps", "ops", "s", "percentunit", "percent", "bytes"}, *unit) {
		t.Errorf("panel %s has unit %v, which is none of those in use", *p.Title, unit)
	}
	var queries []string
	for _, target := range p.Targets {
		query, ok := target.(*grafana.Dataquery)
		if !ok {
			value, isValue := target.(grafana.Dataquery)
			if !isValue {
				t.Fatalf("panel %s asks by a %T, want Prometheus's", *p.Title, target)
			}
			query = &value
		}
		if query.Datasource == nil || query.Datasource.Uid == nil || *query.Datasource.Uid != "${datasource}" {
			t.Errorf("panel %s does not ask the data source that is chosen", *p.Title)
		}
		queries = append(queries, query.Expr)
	}
	return queries
}

// fill puts values in the place of Grafana's variables.
func fill(t *testing.T, query string, variables []string, values map[string]string) string {
	t.Helper()
	return regexp.MustCompile(`\$(\w+)`).ReplaceAllStringFunc(query, func(found string) string {
		name := strings.TrimPrefix(found, "$")
		if name == "__rate_interval" {
			return "5m"
		}
		if !slices.Contains(variables, name) {
			t.Errorf("%s: the dashboard has no variable %s", query, name)
		}
		return values[name]
	})
}

// lists fails unless label_values(SELECTOR, LABEL) lists something.
func (s series) lists(t *testing.T, query dashboard.StringOrMap) {
	t.Helper()
	text, err := json.Marshal(query)
	if err != nil {
		t.Fatal(err)
	}
	var asked struct{ Query string }
	if err := json.Unmarshal(text, &asked); err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(asked.Query)
	if found == nil {
		t.Errorf("%q is no label_values(SELECTOR, LABEL)", asked.Query)
		return
	}
	selector := regexp.MustCompile(`\$\w+`).ReplaceAllString(found[1], ".*")
	s.tells(t, selector)
	for _, sample := range s.eval(t, selector) {
		if !sample.Metric.Has(found[2]) {
			t.Errorf("%s: %s has no label %s", asked.Query, sample.Metric, found[2])
		}
	}
}
