package deploy_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestKServe reads the manifests for KServe, and starts tsgo as the runtime does: it answers by both versions of the
// protocol, under the name of the InferenceService, and where the probes ask.
func TestKServe(t *testing.T) {
	t.Parallel()
	runtimes := of[*servingRuntime](manifests(t, string(read(t, "kserve/servingruntime.yaml"))))
	if len(runtimes) != 1 || len(runtimes[0].Spec.Containers) != 1 {
		t.Fatalf("%+v, want one runtime with one container", runtimes)
	}
	runtime := runtimes[0]
	container := runtime.Spec.Containers[0]
	checkContainer(t, container, runtime.Spec.Volumes)
	if container.Name != "kserve-container" {
		t.Errorf("container %s, want kserve-container, which KServe looks for", container.Name)
	}
	if len(container.Ports) != 1 || container.Ports[0].ContainerPort != 8080 {
		t.Errorf("ports %+v, want 8080 alone: KServe sends requests to the only one", container.Ports)
	}
	var formats []string
	for _, f := range runtime.Spec.SupportedModelFormats {
		formats = append(formats, f.Name)
	}
	for _, service := range of[*inferenceService](manifests(t, string(read(t, "kserve/inferenceservice.yaml")))) {
		m := service.Spec.Predictor.Model
		if m.Runtime != runtime.Name || !slices.Contains(formats, m.ModelFormat.Name) || !slices.Contains(runtime.Spec.ProtocolVersions, m.ProtocolVersion) {
			t.Errorf("%s wants %s by %s of %s, and the runtime is %s with %v by %v", service.Name, m.ModelFormat.Name, m.ProtocolVersion, m.Runtime,
				runtime.Name, formats, runtime.Spec.ProtocolVersions)
		}
	}

	models, err := filepath.Abs(filepath.Join(root, "models", "mnist"))
	if err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("{{.Name}}", "digits", "/mnt/models", models)
	var args []string
	for _, arg := range container.Args {
		args = append(args, filled.Replace(arg))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	addresses, stop, err := serve(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, path := range []string{
		"/v1/models/digits", "/v2/models/digits/ready", container.StartupProbe.HTTPGet.Path, container.ReadinessProbe.HTTPGet.Path, container.LivenessProbe.HTTPGet.Path,
	} {
		if _, err := (request{"GET", addresses["inference"] + filled.Replace(path), nil, 200}).send(ctx); err != nil {
			t.Error(err)
		}
	}
	if _, err := (request{"GET", addresses["metrics"] + runtime.Spec.Annotations["prometheus.kserve.io/path"], nil, 200}).send(ctx); err != nil {
		t.Error(err)
	}
}
