package deploy_test

import (
	"context"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// Where the chart is installed. It is what the series of collected are labelled with.
const (
	release   = "tsgo"
	namespace = "models"
)

// render renders the chart as helm template does, its values checked by its schema.
func render(ctx context.Context, values map[string]any) (map[string]string, error) {
	chart, err := loader.Load(filepath.Join("helm", "tsgo"))
	if err != nil {
		return nil, err
	}
	if err := chart.Validate(); err != nil {
		return nil, err
	}
	all, err := util.ToRenderValues(chart, values, common.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.RenderWithContext(ctx, chart, all)
}

// installed are the resources that the chart makes with the values of a file in ci; "": with its own.
func installed(t *testing.T, file string) (resources []meta.Object, notes string) {
	t.Helper()
	values := map[string]any{}
	if file != "" {
		if err := yaml.UnmarshalStrict(read(t, path.Join("helm/tsgo/ci", file)), &values); err != nil {
			t.Fatal(err)
		}
	}
	rendered, err := render(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		switch path.Ext(name) {
		case ".yaml":
			resources = append(resources, manifests(t, rendered[name])...)
		case ".txt":
			notes = rendered[name]
		}
	}
	return resources, notes
}

// TestChart renders the chart with each of its values files, and checks that what comes out fits together.
func TestChart(t *testing.T) {
	t.Parallel()
	basic := []string{"ConfigMap", "Deployment", "Service", "Service"}
	tests := map[string]struct {
		more []string // kinds
		note string
	}{
		"":             {[]string{"NetworkPolicy", "ServiceAccount"}, "no model is served"},
		"minimal.yaml": {nil, "Callers need no key"},
		"hpa.yaml":     {[]string{"HorizontalPodAutoscaler", "NetworkPolicy", "PodMonitor", "ServiceAccount"}, "curl -k https://"},
		"volume.yaml":  {[]string{"NetworkPolicy", "ServiceAccount"}, "curl http://"},
		"everything.yaml": {[]string{
			"ConfigMap", "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget", "PrometheusRule", "ScaledObject", "ServiceAccount",
			"ServiceMonitor",
		}, "curl -k https://"},
	}
	files, err := filepath.Glob(filepath.Join("helm", "tsgo", "ci", "*.yaml"))
	if err != nil || len(files) != len(tests)-1 {
		t.Errorf("ci has %v, want a test for each", files)
	}
	for file, tt := range tests {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			all, notes := installed(t, file)
			var kinds []string
			for _, object := range all {
				kinds = append(kinds, object.(interface {
					GroupVersionKind() schema.GroupVersionKind
				}).GroupVersionKind().Kind)
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(slices.Concat(basic, tt.more))), slices.Sorted(slices.Values(kinds))); diff != "" {
				t.Errorf("kinds (-want +got):\n%s", diff)
			}
			if !strings.Contains(notes, tt.note) {
				t.Errorf("notes %q, want %q", notes, tt.note)
			}
			checkPod(t, all)
			checkStop(t, all)
			checkPorts(t, all)
		})
	}
}

// only returns the only resource of a type.
func only[T meta.Object](t *testing.T, all []meta.Object) T {
	t.Helper()
	found := of[T](all)
	if len(found) != 1 {
		t.Fatalf("%d %T, want one", len(found), *new(T))
	}
	return found[0]
}

// pod returns the pods' labels and specification.
func pod(t *testing.T, all []meta.Object) core.PodTemplateSpec {
	t.Helper()
	return only[*apps.Deployment](t, all).Spec.Template
}

// properties are the settings that tsgo reads in the chart's config.properties.
func properties(t *testing.T, all []meta.Object) map[string]string {
	t.Helper()
	for _, config := range of[*core.ConfigMap](all) {
		if text, ok := config.Data["config.properties"]; ok {
			return checkConfig(t, []byte(text))
		}
	}
	t.Fatal("no config.properties")
	return nil
}

// checkPod checks that the pods have no rights, and find their config, their models and their certificates.
func checkPod(t *testing.T, all []meta.Object) {
	t.Helper()
	spec, settings := pod(t, all).Spec, properties(t, all)
	container := spec.Containers[0]
	checkContainer(t, container, spec.Volumes)
	if !*spec.SecurityContext.RunAsNonRoot || *spec.AutomountServiceAccountToken {
		t.Error("the pods run as root, or have the account's token")
	}
	mounted := map[string]string{}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, m := range c.VolumeMounts {
			mounted[c.Name+":"+m.MountPath] = m.Name
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if mounted[c.Name+":"+settings["model_store"]] != "models" {
			t.Errorf("container %s has not the models at %s, where tsgo looks for them", c.Name, settings["model_store"])
		}
	}
	if file := settings["certificate_file"]; file != "" && mounted["tsgo:"+path.Dir(file)] != "tls" {
		t.Errorf("nothing is at %s", file)
	}
	var config string
	for _, e := range container.Env {
		if e.Name == "TS_CONFIG_FILE" {
			config = e.Value
		}
	}
	if path.Base(config) != "config.properties" || mounted["tsgo:"+path.Dir(config)] != "config" {
		t.Errorf("nothing is at %s, where tsgo looks for its config", config)
	}
	if security := settings["disable_token_authorization"]; security != "true" {
		t.Errorf("disable_token_authorization=%s, and each pod would have keys of its own", security)
	}
}

// checkStop checks that a pod that goes has the time that tsgo takes.
func checkStop(t *testing.T, all []meta.Object) {
	t.Helper()
	spec := pod(t, all).Spec
	drain, err := strconv.ParseInt(properties(t, all)["drain"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	before := spec.Containers[0].Lifecycle.PreStop.Sleep.Seconds
	if least := drain + before; *spec.TerminationGracePeriodSeconds <= least {
		t.Errorf("a pod has %d s to end, want more than %d: %d to be forgotten, and %d for its requests", *spec.TerminationGracePeriodSeconds, least, before, drain)
	}
}

// checkPorts checks that everything that names a port of the pods names one that is there, on which tsgo listens.
func checkPorts(t *testing.T, all []meta.Object) {
	t.Helper()
	container, settings, listens := pod(t, all).Spec.Containers[0], properties(t, all), map[string]bool{}
	for _, key := range []string{"inference_address", "management_address", "metrics_address"} {
		_, port, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(settings[key], "http://"), "https://"), ":")
		listens[port] = true
	}
	for _, key := range []string{"inference", "management"} {
		if settings["grpc_"+key+"_address"] != "none" {
			listens[settings["grpc_"+key+"_port"]] = true
		}
	}
	names := map[string]bool{}
	for _, p := range container.Ports {
		names[p.Name] = true
		if !listens[strconv.Itoa(int(p.ContainerPort))] {
			t.Errorf("port %s is %d, and tsgo listens on %v", p.Name, p.ContainerPort, slices.Sorted(maps.Keys(listens)))
		}
	}
	if len(names) != len(listens) {
		t.Errorf("ports %v, and tsgo listens on %v", slices.Sorted(maps.Keys(names)), slices.Sorted(maps.Keys(listens)))
	}
	var used []string
	for path, probes := range map[string][]*core.Probe{"/ping": {container.StartupProbe, container.ReadinessProbe}, "/v2/health/live": {container.LivenessProbe}} {
		for _, probe := range probes {
			if probe.HTTPGet == nil {
				used = append(used, probe.TCPSocket.Port.String())
				continue
			}
			used = append(used, probe.HTTPGet.Port.String())
			secure := strings.HasPrefix(settings["inference_address"], "https://")
			if probe.HTTPGet.Path != path || secure != (probe.HTTPGet.Scheme == core.URISchemeHTTPS) {
				t.Errorf("a probe asks %+v, want %s, and tsgo is at %s", probe.HTTPGet, path, settings["inference_address"])
			}
		}
	}
	labels := pod(t, all).Labels
	for _, service := range of[*core.Service](all) {
		for _, port := range service.Spec.Ports {
			used = append(used, port.TargetPort.String())
		}
		selects(t, service.Name, service.Spec.Selector, labels)
	}
	for _, p := range of[*networking.NetworkPolicy](all) {
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				used = append(used, port.Port.String())
			}
		}
		selects(t, p.Name, p.Spec.PodSelector.MatchLabels, labels)
	}
	for _, m := range of[*monitoring.PodMonitor](all) {
		used = append(used, *m.Spec.PodMetricsEndpoints[0].Port)
		selects(t, m.Name, m.Spec.Selector.MatchLabels, labels)
	}
	for _, name := range used {
		if !names[name] {
			t.Errorf("port %s is asked for, and the container has %v", name, slices.Sorted(maps.Keys(names)))
		}
	}
	checkServiceMonitor(t, all)
}

// checkServiceMonitor checks that each pod is read once: one service fits, and it has the port.
func checkServiceMonitor(t *testing.T, all []meta.Object) {
	t.Helper()
	for _, m := range of[*monitoring.ServiceMonitor](all) {
		var fit []string
		for _, service := range of[*core.Service](all) {
			if contains(service.Labels, m.Spec.Selector.MatchLabels) {
				fit = append(fit, service.Name)
				if !slices.ContainsFunc(service.Spec.Ports, func(p core.ServicePort) bool { return p.Name == m.Spec.Endpoints[0].Port }) {
					t.Errorf("service %s has no port %s", service.Name, m.Spec.Endpoints[0].Port)
				}
			}
		}
		if len(fit) != 1 {
			t.Errorf("the ServiceMonitor fits services %v, want one", fit)
		}
	}
}

func selects(t *testing.T, name string, selector, labels map[string]string) {
	t.Helper()
	if len(selector) == 0 || !contains(labels, selector) {
		t.Errorf("%s selects %v, and the pods have %v", name, selector, labels)
	}
}

func contains(labels, selector map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// TestChartScaling checks that what replicas are counted by is what a server exports.
func TestChartScaling(t *testing.T) {
	t.Parallel()
	s := collected(t)
	resources, _ := installed(t, "hpa.yaml")
	metric := only[*autoscaling.HorizontalPodAutoscaler](t, resources).Spec.Metrics[0].Pods.Metric.Name
	var adapter struct {
		Rules struct {
			Custom []struct {
				SeriesQuery string `json:"seriesQuery"`
				Resources   struct {
					Overrides map[string]struct {
						Resource string `json:"resource"`
					} `json:"overrides"`
				} `json:"resources"`
				Name struct {
					Matches string `json:"matches"`
					As      string `json:"as"`
				} `json:"name"`
				MetricsQuery string `json:"metricsQuery"`
			} `json:"custom"`
		} `json:"rules"`
	}
	if err := yaml.UnmarshalStrict(read(t, "prometheus/adapter-rules.yaml"), &adapter); err != nil {
		t.Fatal(err)
	}
	rule := adapter.Rules.Custom[0]
	if rule.Name.As != metric {
		t.Errorf("the autoscaler asks for %s, and the adapter has %s", metric, rule.Name.As)
	}
	s.tells(t, rule.SeriesQuery)
	s.tells(t, strings.NewReplacer("<<.Series>>", rule.Name.Matches, "<<.LabelMatchers>>", `namespace="`+namespace+`",pod="tsgo-7d9f"`, "<<.GroupBy>>", "pod").Replace(rule.MetricsQuery))

	resources, _ = installed(t, "everything.yaml")
	s.tells(t, only[*scaledObject](t, resources).Spec.Triggers[0].Metadata["query"])
}

// TestChartFiles checks that the chart has the rules and the dashboard as they are, and the values that a file gave.
func TestChartFiles(t *testing.T) {
	t.Parallel()
	resources, _ := installed(t, "everything.yaml")
	var want monitoring.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(read(t, "prometheus/rules.yml"), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, only[*monitoring.PrometheusRule](t, resources).Spec); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	var dashboard string
	for _, config := range of[*core.ConfigMap](resources) {
		dashboard += config.Data["tsgo.json"]
	}
	if dashboard != string(read(t, "grafana/dashboard.json")) {
		t.Error("the dashboard is not the one in grafana/")
	}
	settings := properties(t, resources)
	for key, want := range map[string]string{
		"max_request_size": "65535000", "default_workers_per_model": "2", "enable_envvars_config": "true", "enable_model_api": "true", "drain": "60",
		"load_models": "mnist=https://models.example.com/mnist.mar", "allowed_urls": `https://models\.example\.com/.*`,
		"client_ca_file": "/run/tsgo/tls/ca.crt", "inference_address": "https://0.0.0.0:8080", "metrics_address": "http://0.0.0.0:8082",
	} {
		if settings[key] != want {
			t.Errorf("%s=%s, want %s", key, settings[key], want)
		}
	}
}

// TestChartRefuses shows that values.schema.json refuses what would not work.
func TestChartRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ values, want string }{
		"misspelt":              {"replica: 2", "replica"},
		"misspelt deep down":    {"autoscaling: {maxReplica: 2}", "maxReplica"},
		"wrong type":            {"replicas: two", "replicas"},
		"no such autoscaler":    {"autoscaling: {kind: vpa}", "kind"},
		"the chart's own line":  {"config: {management_address: 'http://0.0.0.0:1'}", "management_address"},
		"two lines":             {`config: {load_models: "a\nb"}`, "load_models"},
		"callers without a key": {"tls: {clientCA: true}", "secretName"},
		"counted twice":         {"metrics: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}", "metrics"},
		"no time to end":        {"drainSeconds: 0", "drainSeconds"},
	}
	for name, tt := range tests {
		var values map[string]any
		if err := yaml.Unmarshal([]byte(tt.values), &values); err != nil {
			t.Fatal(err)
		}
		if _, err := render(t.Context(), values); err == nil || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%s: %v, want a complaint about %s", name, err, tt.want)
		}
	}
}
