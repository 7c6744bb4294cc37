package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// remote is how a command reaches a running server.
type remote struct {
	server string
	token  string
	caCert string
	cert   string
	key    string
}

// serverFlags gives a command the flags of one that asks a server where one is named; without, it works in this process.
func (r *remote) serverFlags(s streams, cmd *cobra.Command) {
	r.addFlags(cmd, s.env("TSGO_SERVER"), "ask the server at this address, http://HOST:PORT or unix:/PATH, whichever of its APIs it is (default: $TSGO_SERVER; without, this process answers)")
}

// mustServerFlags gives a command the flags of one that has no other way than a server.
func (r *remote) mustServerFlags(s streams, cmd *cobra.Command) {
	server := s.env("TSGO_SERVER")
	if server == "" {
		server = client.DefaultServer
	}
	r.addFlags(cmd, server, "address of the server, http://HOST:PORT or unix:/PATH, whichever of its APIs it is; also $TSGO_SERVER")
}

func (r *remote) addFlags(cmd *cobra.Command, server, help string) {
	cmd.Flags().StringVar(&r.server, "server", server, help)
	cmd.Flags().StringVar(&r.token, "token", "", "key for the server (default: $TSGO_TOKEN, which other users of this machine do not see)")
	cmd.Flags().StringVar(&r.caCert, "cacert", "", "PEM file with the certificate of the authority that the server's is signed by (default: $TSGO_CACERT; the system's)")
	cmd.Flags().StringVar(&r.cert, "cert", "", "PEM file with this caller's own certificate, for a server that asks for one (default: $TSGO_CERT)")
	cmd.Flags().StringVar(&r.key, "key", "", "PEM file with the certificate's private key (default: $TSGO_KEY)")
}

// checkFlags refuses flags that have no meaning with a server.
func (r *remote) checkFlags(cmd *cobra.Command, local ...string) error {
	for _, name := range local {
		if r.server != "" && cmd.Flags().Changed(name) {
			return fmt.Errorf("%w: --%s is for a model in this process, and %s is to be asked; leave one out (--server= where TSGO_SERVER is set)", fault.Invalid, name, r.server)
		}
	}
	return nil
}

// clientVariables are the variables of the environment that a client reads.
func clientVariables() []string {
	return []string{"TSGO_SERVER", "TSGO_TOKEN", "TSGO_CACERT", "TSGO_CERT", "TSGO_KEY"}
}

// connect returns the client of the server.
func (r *remote) connect(s streams) (*client.Client, error) {
	opts := client.Options{Server: r.server, Token: cmp.Or(r.token, s.env("TSGO_TOKEN"))}
	files := map[string]string{}
	for _, file := range []struct {
		flag, given, env string
		to               *[]byte
	}{
		{"--cacert", r.caCert, "TSGO_CACERT", &opts.CA}, {"--cert", r.cert, "TSGO_CERT", &opts.Certificate}, {"--key", r.key, "TSGO_KEY", &opts.Key},
	} {
		path, origin := file.given, file.flag
		if path == "" {
			path, origin = s.env(file.env), file.env
		}
		if files[file.flag] = path; path == "" {
			continue
		}
		var err error
		if *file.to, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("%s: %w", origin, fileError(err))
		}
	}
	if (files["--cert"] == "") != (files["--key"] == "") {
		return nil, fmt.Errorf("%w: a certificate and its private key go together: give both --cert and --key", fault.Invalid)
	}
	return client.New(opts)
}

// served returns the client, and the model that is meant on the server.
func (r *remote) served(s streams, arg string) (*client.Client, model.Ref, error) {
	ref, err := model.ParseRef(arg)
	if err != nil {
		return nil, model.Ref{}, fmt.Errorf("%w; a server's models have names, not paths: see 'tsgo models list --server %s'", err, r.server)
	}
	c, err := r.connect(s)
	return c, ref, err
}

// names returns the models of the server, for completion; none where it does not answer at once.
func (r *remote) names(ctx context.Context, s streams) []string {
	c, err := r.connect(s)
	if err != nil {
		return nil
	}
	defer c.Close() //nolint:errcheck // the answers are there
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	all, err := names(ctx, c)
	if err != nil {
		return nil
	}
	return all
}

// names returns the names of all models that a server has.
func names(ctx context.Context, c *client.Client) ([]string, error) {
	var all []string
	for page := (model.Page{}); ; {
		l, err := c.List(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, m := range l.Models {
			all = append(all, m.Name)
		}
		if page.Offset = l.Next; l.Next == 0 {
			return all, nil
		}
	}
}

// completeServed completes the first argument with the names of a server's models.
func (r *remote) completeServed(s streams) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return r.names(cmd.Context(), s), cobra.ShellCompDirectiveNoFileComp
	}
}

// patient asks a server, under a spinner when it takes long.
type patient struct {
	*client.Client

	s    streams
	text string
}

// Predict asks the server.
func (p patient) Predict(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	done := spin(p.s, p.text+" "+ref.String(), showAfter)
	defer done()
	return p.Client.Predict(ctx, ref, req)
}
