package deploy_test

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"sigs.k8s.io/yaml"
)

// prometheusConfig is what prometheus.yml says, of all that it could.
type prometheusConfig struct {
	Global struct {
		ScrapeInterval     model.Duration `json:"scrape_interval"`
		EvaluationInterval model.Duration `json:"evaluation_interval"`
	} `json:"global"`
	RuleFiles     []string `json:"rule_files"`
	ScrapeConfigs []struct {
		JobName       string `json:"job_name"`
		StaticConfigs []struct {
			Targets []string `json:"targets"`
		} `json:"static_configs"`
	} `json:"scrape_configs"`
}

func TestPrometheusConfig(t *testing.T) {
	t.Parallel()
	config := readPrometheusConfig(t)
	if config.Global.ScrapeInterval <= 0 || config.Global.EvaluationInterval <= 0 {
		t.Errorf("intervals %s and %s, want more than 0", config.Global.ScrapeInterval, config.Global.EvaluationInterval)
	}
	for _, name := range config.RuleFiles {
		if _, err := os.Stat(filepath.Join("prometheus", name)); err != nil {
			t.Error(err)
		}
	}
	if len(config.ScrapeConfigs) != 1 || len(config.ScrapeConfigs[0].StaticConfigs) != 1 {
		t.Fatalf("%+v, want one job with one list of targets", config.ScrapeConfigs)
	}
}

func readPrometheusConfig(t *testing.T) prometheusConfig {
	t.Helper()
	var config prometheusConfig
	if err := yaml.UnmarshalStrict(read(t, "prometheus/prometheus.yml"), &config); err != nil {
		t.Fatal(err)
	}
	return config
}

// rules are those of rules.yml: recording ones first, alerts then.
func rules(t *testing.T) (recorded, alerts []rulefmt.Rule) {
	t.Helper()
	groups, errs := rulefmt.Parse(read(t, "prometheus/rules.yml"), false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if rule.Record != "" {
				recorded = append(recorded, rule)
			} else {
				alerts = append(alerts, rule)
			}
		}
	}
	return recorded, alerts
}

// record adds what the recording rules make of s, as if they had been evaluated at the end.
func record(t *testing.T, s series, recorded []rulefmt.Rule) series {
	t.Helper()
	for _, rule := range recorded {
		for _, sample := range s.eval(t, rule.Expr) {
			metric := labels.NewBuilder(sample.Metric).Set("__name__", rule.Record)
			s = append(s, promql.Series{Metric: metric.Labels(), Floats: []promql.FPoint{{T: end.Milliseconds(), F: sample.F}}})
		}
	}
	return s
}

// TestRules evaluates all rules over what a real server exports: each tells something, and no alert fires.
func TestRules(t *testing.T) {
	t.Parallel()
	recorded, alerts := rules(t)
	s := collected(t)
	for _, rule := range recorded {
		s.tells(t, rule.Expr)
		s = record(t, s, []rulefmt.Rule{rule})
	}
	for _, rule := range alerts {
		s.tells(t, rule.Expr)
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("%s has annotations %v and labels %v, want summary, description and severity", rule.Alert, rule.Annotations, rule.Labels)
		}
	}
}

// TestAlerts shows each alert fire on series that it is for, and not on those beside them.
func TestAlerts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		series []string
		want   []string // the label that tells which of the series fire
		label  string
	}{
		"TsgoDown": {
			series: []string{`up{job="tsgo", instance="a"} 0x60`, `up{job="tsgo", instance="b"} 1x60`, `up{job="other", instance="c"} 0x60`},
			label:  "instance", want: []string{"a"},
		},
		"TsgoRestarts": {
			series: []string{`process_start_time_seconds{job="tsgo", instance="a"} 0+10x60`, `process_start_time_seconds{job="tsgo", instance="b"} 5x60`},
			label:  "instance", want: []string{"a"},
		},
		"TsgoServerFailures": {
			series: []string{
				`ts_inference_requests_total{model_name="bad"} 0+100x60`, `tsgo_failures_total{model_name="bad", kind="timed out"} 0+10x60`,
				`ts_inference_requests_total{model_name="misused"} 0+100x60`, `tsgo_failures_total{model_name="misused", kind="invalid"} 0+10x60`,
				`ts_inference_requests_total{model_name="good"} 0+100x60`, `tsgo_failures_total{model_name="good", kind="unavailable"} 0+1x60`,
			},
			label: "model_name", want: []string{"bad"},
		},
		"TsgoNoWorkers": {
			series: []string{`tsgo_workers{model_name="a"} 0x60`, `tsgo_workers{model_name="b"} 1x60`},
			label:  "model_name", want: []string{"a"},
		},
		"TsgoQueueGrows": {
			series: []string{`tsgo_queue_depth{model_name="a"} 20x60`, `tsgo_queue_depth{model_name="b"} 0x45 90x10 0x5`},
			label:  "model_name", want: []string{"a"},
		},
		"TsgoSlow": {
			series: append(histogram("tsgo_request_seconds", "slow", 2.5), histogram("tsgo_request_seconds", "fast", 0.1)...),
			label:  "model_name", want: []string{"slow"},
		},
		"TsgoWaits": {
			series: slices.Concat(
				histogram("tsgo_request_seconds", "waiting", 1), histogram("tsgo_queue_seconds", "waiting", 1),
				histogram("tsgo_request_seconds", "running", 1), histogram("tsgo_queue_seconds", "running", 0.01),
				histogram("tsgo_request_seconds", "tiny", 0.01), histogram("tsgo_queue_seconds", "tiny", 0.01),
			),
			label: "model_name", want: []string{"waiting"},
		},
	}
	recorded, alerts := rules(t)
	for _, alert := range alerts {
		t.Run(alert.Alert, func(t *testing.T) {
			t.Parallel()
			tt, ok := tests[alert.Alert]
			if !ok {
				t.Fatal("the alert has no test")
			}
			var got []string
			for _, sample := range record(t, written(t, tt.series), recorded).eval(t, alert.Expr) {
				got = append(got, sample.Metric.Get(tt.label))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("it fires for (-want +got):\n%s", diff)
			}
		})
	}
	if len(alerts) != len(tests) {
		t.Errorf("%d alerts and %d tests: %s", len(alerts), len(tests), strings.Join(slices.Sorted(maps.Keys(tests)), ", "))
	}
}

// histogram are the buckets of requests that take a time, more of them every step.
func histogram(name, model string, seconds float64) []string {
	var lines []string
	for _, le := range []float64{0.01, 0.1, 1, 2.5, math.Inf(1)} {
		values := "0+10x60"
		if le < seconds {
			values = "0x60"
		}
		lines = append(lines, fmt.Sprintf("%s_bucket{model_name=%q, mode=\"predict\", le=\"%v\"} %s", name, model, le, values))
	}
	return lines
}
