package deploy_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// What the manifests say of resources whose types are in no module of their own, by the reference of their APIs.
type (
	// scaledObject is KEDA's ScaledObject, keda.sh/v1alpha1.
	scaledObject struct {
		meta.TypeMeta   `json:",inline"`
		meta.ObjectMeta `json:"metadata"`
		Spec            struct {
			ScaleTargetRef struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Name       string `json:"name"`
			} `json:"scaleTargetRef"`
			MinReplicaCount *int32 `json:"minReplicaCount"`
			MaxReplicaCount *int32 `json:"maxReplicaCount"`
			CooldownPeriod  *int32 `json:"cooldownPeriod"`
			Triggers        []struct {
				Type       string                       `json:"type"`
				MetricType autoscaling.MetricTargetType `json:"metricType"`
				Metadata   map[string]string            `json:"metadata"`
			} `json:"triggers"`
		} `json:"spec"`
	}
	// servingRuntime is KServe's ServingRuntime or ClusterServingRuntime, serving.kserve.io/v1alpha1.
	servingRuntime struct {
		meta.TypeMeta   `json:",inline"`
		meta.ObjectMeta `json:"metadata"`
		Spec            struct {
			Annotations           map[string]string `json:"annotations"`
			Labels                map[string]string `json:"labels"`
			SupportedModelFormats []struct {
				Name       string  `json:"name"`
				Version    *string `json:"version"`
				AutoSelect *bool   `json:"autoSelect"`
				Priority   *int32  `json:"priority"`
			} `json:"supportedModelFormats"`
			MultiModel       *bool            `json:"multiModel"`
			ProtocolVersions []string         `json:"protocolVersions"`
			Containers       []core.Container `json:"containers"`
			Volumes          []core.Volume    `json:"volumes"`
		} `json:"spec"`
	}
	// inferenceService is KServe's InferenceService, serving.kserve.io/v1beta1.
	inferenceService struct {
		meta.TypeMeta   `json:",inline"`
		meta.ObjectMeta `json:"metadata"`
		Spec            struct {
			Predictor struct {
				MinReplicas *int32 `json:"minReplicas"`
				MaxReplicas int32  `json:"maxReplicas"`
				Model       struct {
					ModelFormat struct {
						Name    string  `json:"name"`
						Version *string `json:"version"`
					} `json:"modelFormat"`
					ProtocolVersion string `json:"protocolVersion"`
					Runtime         string `json:"runtime"`
					StorageURI      string `json:"storageUri"`
					core.Container  `json:",inline"`
				} `json:"model"`
			} `json:"predictor"`
		} `json:"spec"`
	}
)

// resource makes an empty resource of the type that a manifest names; nil where the tests know none.
func resource(apiVersion, kind string) meta.Object {
	switch apiVersion + " " + kind {
	case "v1 ConfigMap":
		return &core.ConfigMap{}
	case "v1 Service":
		return &core.Service{}
	case "v1 ServiceAccount":
		return &core.ServiceAccount{}
	case "v1 PersistentVolumeClaim":
		return &core.PersistentVolumeClaim{}
	case "apps/v1 Deployment":
		return &apps.Deployment{}
	case "autoscaling/v2 HorizontalPodAutoscaler":
		return &autoscaling.HorizontalPodAutoscaler{}
	case "policy/v1 PodDisruptionBudget":
		return &policy.PodDisruptionBudget{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networking.NetworkPolicy{}
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return &monitoring.ServiceMonitor{}
	case "monitoring.coreos.com/v1 PodMonitor":
		return &monitoring.PodMonitor{}
	case "monitoring.coreos.com/v1 PrometheusRule":
		return &monitoring.PrometheusRule{}
	case "keda.sh/v1alpha1 ScaledObject":
		return &scaledObject{}
	case "serving.kserve.io/v1alpha1 ClusterServingRuntime":
		return &servingRuntime{}
	case "serving.kserve.io/v1beta1 InferenceService":
		return &inferenceService{}
	}
	return nil
}

// decode reads a manifest as the API server does when it is asked to be strict: what the type has not is an error.
func decode(text string) (meta.Object, error) {
	var named meta.TypeMeta
	if err := yaml.Unmarshal([]byte(text), &named); err != nil {
		return nil, err
	}
	into := resource(named.APIVersion, named.Kind)
	if into == nil {
		return nil, fmt.Errorf("%s %s is no resource that the tests know", named.APIVersion, named.Kind)
	}
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		return nil, fmt.Errorf("%s: %w", named.Kind, err)
	}
	if wrong := validation.IsDNS1123Subdomain(into.GetName()); len(wrong) > 0 || len(into.GetName()) > validation.DNS1123LabelMaxLength {
		return nil, fmt.Errorf("%s %q: its name: %v", named.Kind, into.GetName(), wrong)
	}
	for name, value := range into.GetLabels() {
		if wrong := append(validation.IsQualifiedName(name), validation.IsValidLabelValue(value)...); len(wrong) > 0 {
			return nil, fmt.Errorf("%s %q: label %s=%s: %v", named.Kind, into.GetName(), name, value, wrong)
		}
	}
	return into, nil
}

// manifests reads all that a file holds.
func manifests(t *testing.T, text string) []meta.Object {
	t.Helper()
	var all []meta.Object
	for _, part := range regexp.MustCompile(`(?m)^---$`).Split(text, -1) {
		if regexp.MustCompile(`(?m)^\w`).FindString(part) == "" {
			continue // nothing but comments
		}
		object, err := decode(part)
		if err != nil {
			t.Fatalf("%v\n%s", err, part)
		}
		all = append(all, object)
	}
	return all
}

// TestDecode shows that a manifest with a mistake is refused.
func TestDecode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ manifest, want string }{
		"unknown field":    {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: 1}\n", `unknown field "port"`},
		"wrong type":       {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: many}\n", "replicas"},
		"twice":            {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b, a: c}\n", `"a" already set`},
		"unknown resource": {"apiVersion: v1\nkind: Pot\n", "v1 Pot is no resource"},
		"name":             {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_b}\n", "its name"},
		"label":            {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {a: 'b c'}}\n", "label a=b c"},
	}
	for name, tt := range tests {
		if _, err := decode(tt.manifest); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// of returns the resources of a type.
func of[T meta.Object](all []meta.Object) []T {
	var found []T
	for _, object := range all {
		if o, ok := object.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

// checkContainer checks that a container runs without rights, with volumes that are there.
func checkContainer(t *testing.T, c core.Container, volumes []core.Volume) {
	t.Helper()
	security := c.SecurityContext
	if security == nil || !*security.ReadOnlyRootFilesystem || *security.AllowPrivilegeEscalation || len(security.Capabilities.Drop) != 1 {
		t.Errorf("container %s has security context %+v, want one without any rights", c.Name, security)
	}
	known := map[string]bool{}
	for _, v := range volumes {
		known[v.Name] = true
	}
	var writable []string
	for _, m := range c.VolumeMounts {
		if !known[m.Name] {
			t.Errorf("container %s mounts %s, which is no volume", c.Name, m.Name)
		}
		if !m.ReadOnly {
			writable = append(writable, m.MountPath)
		}
	}
	if !strings.Contains(strings.Join(writable, " "), "/tmp") {
		t.Errorf("container %s can write to %v, want /tmp among them: archives are unpacked there", c.Name, writable)
	}
	for _, port := range c.Ports {
		if wrong := validation.IsValidPortName(port.Name); len(wrong) > 0 {
			t.Errorf("port %s: %v", port.Name, wrong)
		}
	}
	for name, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil && probe.TCPSocket == nil {
			t.Errorf("container %s has no %s probe", c.Name, name)
		}
	}
}
