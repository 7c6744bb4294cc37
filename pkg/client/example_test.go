package client_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/model"
)

// A client asks a server as a pipeline is asked in this process.
func ExampleNew() {
	server := httptest.NewServer(api.Wrap(predictions, api.Options{})) // in place of tsgo serve
	defer server.Close()

	c, err := client.New(client.Options{Inference: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close() //nolint:errcheck // the answer is there
	req := &model.Request{Inputs: []model.Input{{Name: "body", Data: []byte("21")}}}
	resp, err := c.Predict(context.Background(), model.Ref{Name: "m"}, req)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", resp.Body)
	// Output: 42
}
