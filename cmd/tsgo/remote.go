package main

import (
	"cmp"
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/model"
)

// remote is how a command finds a running server.
type remote struct {
	server string
	token  string
	caCert string
}

// defaultServer is asked by the commands that have nothing to do without a server.
const defaultServer = "http://127.0.0.1:8080"

func (r *remote) remoteFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.server, "server", "", "ask a running server: the URL of any of its three APIs (default: $TSGO_SERVER)")
	cmd.Flags().StringVar(&r.token, "token", "", "the key for the server (default: $TSGO_TOKEN)")
	cmd.Flags().StringVar(&r.caCert, "ca-cert", "", "file of PEM certificates to trust beside the system's")
}

// url returns the server that was named, "" for none.
func (r *remote) url(s streams) string { return cmp.Or(r.server, s.env("TSGO_SERVER")) }

// connect returns a client of the server that was named, or else of otherwise.
func (r *remote) connect(s streams, otherwise string) (*client.Client, error) {
	opts := client.Options{Server: cmp.Or(r.url(s), otherwise), Token: cmp.Or(r.token, s.env("TSGO_TOKEN"))}
	if r.caCert != "" {
		pem, err := os.ReadFile(r.caCert)
		if err != nil {
			return nil, fileError(err)
		}
		opts.CA = pem
	}
	return client.New(opts)
}

// asked is a model to ask, in this process or in another: from here on it makes no difference which.
type asked struct {
	model.Predictor

	ref   model.Ref
	batch func(ctx context.Context, reqs []*model.Request) []model.Result
	size  int // how many requests are worth one batch
	close func() error
}

// remotely returns a model of a running server. What batch is given is asked one after the other: the server makes the
// batches.
func remotely(c *client.Client, ref model.Ref) *asked {
	return &asked{
		Predictor: c, ref: ref, size: 1, close: c.Close,
		batch: func(ctx context.Context, reqs []*model.Request) []model.Result {
			results := make([]model.Result, len(reqs))
			for i, req := range reqs {
				results[i].Response, results[i].Err = c.Predict(ctx, ref, req)
			}
			return results
		},
	}
}
