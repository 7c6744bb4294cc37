package deploy_test

import (
	"testing"

	"sigs.k8s.io/yaml"
)

// What Grafana's files of provisioning say, of all that they could.
type (
	dashboards struct {
		APIVersion int `json:"apiVersion"`
		Providers  []struct {
			Name            string `json:"name"`
			Type            string `json:"type"`
			DisableDeletion bool   `json:"disableDeletion"`
			Options         struct {
				Path string `json:"path"`
			} `json:"options"`
		} `json:"providers"`
	}
	datasources struct {
		APIVersion  int `json:"apiVersion"`
		Datasources []struct {
			Name      string `json:"name"`
			UID       string `json:"uid"`
			Type      string `json:"type"`
			Access    string `json:"access"`
			URL       string `json:"url"`
			IsDefault bool   `json:"isDefault"`
			JSONData  struct {
				TimeInterval string `json:"timeInterval"`
			} `json:"jsonData"`
		} `json:"datasources"`
	}
)

// provisioning reads a file of provisioning.
func provisioning[T dashboards | datasources](t *testing.T, name string) T {
	t.Helper()
	var file T
	if err := yaml.UnmarshalStrict(read(t, name), &file); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return file
}
