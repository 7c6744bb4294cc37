package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/api"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	addresses := api.Addresses{Inference: "http://h:1", Metrics: "http://h:3"}
	d := api.NewDocument(api.Info{Title: "T <&>", Version: "1"}, api.Metrics, addresses)
	d.Add("/z", "get", api.Operation{ID: "z", Responses: api.Responses(http.StatusOK, "d", api.StatusSchema())})
	d.Add("/a/{m}", "put", api.Operation{
		ID: "a", Parameters: []api.Parameter{api.PathParameter("m", "the model"), api.QueryParameter("n", "", api.Schema{Type: "integer"})},
		Responses: api.Responses(http.StatusOK, "d", api.Schema{}),
	})
	d.Add("/z", "delete", api.Operation{ID: "y", Responses: api.Responses(http.StatusAccepted, "d", api.Schema{})})
	w := httptest.NewRecorder()
	if err := api.WriteJSON(w, http.StatusOK, d); err != nil {
		t.Fatal(err)
	}
	text := w.Body.String()
	if !json.Valid(w.Body.Bytes()) || !strings.Contains(text, "T <&>") {
		t.Errorf("document %s", text)
	}
	at := -1
	for _, part := range []string{
		`"openapi": "3.0.1"`, `"info"`, `"servers"`, "http://h:3", "http://h:1", `"paths"`,
		`"/z"`, `"get"`, `"200"`, `"default"`, `"$ref": "#/components/schemas/Error"`, `"delete"`, `"202"`,
		`"/a/{m}"`, `"put"`, `"in": "path"`, `"required": true`, `"in": "query"`, `"components"`, `"Error"`, `"message"`,
	} {
		i := strings.Index(text[at+1:], part)
		if i < 0 {
			t.Fatalf("%s is missing after byte %d of %s", part, at, text)
		}
		at += 1 + i
	}
}
