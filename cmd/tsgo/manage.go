package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// manageOptions are those of the commands that change what a running server serves.
type manageOptions struct {
	streams
	remote
}

// newManage makes a command that changes one model of a running server and says what it did.
func newManage(s streams, use, short string, do func(ctx context.Context, c *client.Client, ref model.Ref) (said string, err error)) *cobra.Command {
	o := manageOptions{streams: s}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := model.ParseRef(args[0])
			if err != nil {
				return err
			}
			c, err := o.connect(o.streams, defaultServer)
			if err != nil {
				return err
			}
			defer c.Close() //nolint:errcheck // the answer is there
			said, err := do(cmd.Context(), c, ref)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(o.out, said)
			return err //nolint:wrapcheck // of the standard output
		},
	}
	o.remoteFlags(cmd)
	return cmd
}

func newModelsScale(s streams) *cobra.Command {
	var scale model.Scale
	cmd := newManage(s, "scale MODEL", "Set how many workers a model of a running server has",
		func(ctx context.Context, c *client.Client, ref model.Ref) (string, error) {
			scale.Max = max(scale.Min, scale.Max)
			_, err := c.Scale(ctx, ref, scale)
			return fmt.Sprintf("%s has %d to %d workers", ref, scale.Min, scale.Max), err
		})
	cmd.Flags().IntVar(&scale.Min, "min", 1, "at least so many workers")
	cmd.Flags().IntVar(&scale.Max, "max", 0, "at most so many (default: as many as at least)")
	return cmd
}

func newModelsDefault(s streams) *cobra.Command {
	return newManage(s, "default MODEL/VERSION", "Make a version of a running server the default one",
		func(ctx context.Context, c *client.Client, ref model.Ref) (string, error) {
			if ref.Version == "" {
				return "", fmt.Errorf("%w: %s names no version, want %s/VERSION", fault.Invalid, ref, ref)
			}
			return fmt.Sprintf("%s is the default version", ref), c.SetDefault(ctx, ref)
		})
}

func newModelsUnregister(s streams) *cobra.Command {
	return newManage(s, "unregister MODEL", "Take a model away from a running server, once its requests are answered",
		func(ctx context.Context, c *client.Client, ref model.Ref) (string, error) {
			return fmt.Sprintf("%s is not served any more", ref), c.Unregister(ctx, ref)
		})
}

// servedModel is a version of a running server as models list and models show tell it.
type servedModel struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Default  bool   `json:"default"`
	Workers  int    `json:"workers"`
	Ready    int    `json:"ready"`
	Min      int    `json:"minWorkers"`
	Max      int    `json:"maxWorkers"`
	Batch    int    `json:"batchSize"`
	Delay    string `json:"maxBatchDelay"`
	Waiting  int    `json:"waiting"`
	Memory   int64  `json:"memory"` // bytes
	URL      string `json:"url"`
	Customed any    `json:"customizedMetadata,omitempty"`
}

func servedAs(s model.Status) servedModel {
	m := servedModel{
		Name: s.Ref.Name, Version: s.Ref.Version, Default: s.Default, Workers: len(s.Workers), Min: s.MinWorkers, Max: s.MaxWorkers,
		Batch: s.BatchSize, Delay: s.MaxBatchDelay.String(), Waiting: s.QueuePending, Memory: s.Memory, URL: s.URL,
	}
	for _, w := range s.Workers {
		if w.Ready {
			m.Ready++
		}
	}
	if s.Customized != nil {
		m.Customed = s.Customized
	}
	return m
}

// listRemote returns every version that a server serves.
func listRemote(ctx context.Context, c *client.Client) ([]servedModel, error) {
	var all []servedModel
	for page := (model.Page{}); ; {
		l, err := c.List(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, m := range l.Models {
			versions, err := c.Describe(ctx, model.Ref{Name: m.Name}, model.Description{All: true})
			if errors.Is(err, fault.NoModel) { // it went meanwhile
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, v := range versions {
				all = append(all, servedAs(v))
			}
		}
		if l.Next <= page.Offset {
			return all, nil
		}
		page.Offset = l.Next
	}
}

// tellServed writes versions of a running server.
func (g globals) tellServed(s streams, all []servedModel) error {
	format, err := g.format(s)
	if err != nil {
		return err
	}
	if format == outputJSON {
		return writeJSON(s.out, all)
	}
	rows := make([][]string, len(all))
	for i, m := range all {
		def := ""
		if m.Default {
			def = "yes"
		}
		rows[i] = []string{
			m.Name, m.Version, def, fmt.Sprintf("%d of %d", m.Ready, m.Min), strconv.Itoa(m.Batch), m.Delay, strconv.Itoa(m.Waiting), size(m.Memory), m.URL,
		}
	}
	return table(s.out, []string{"name", "version", "default", "workers", "batch", "delay", "waiting", "size", "url"}, rows,
		tw.AlignLeft, tw.AlignLeft, tw.AlignLeft, tw.AlignRight, tw.AlignRight, tw.AlignRight, tw.AlignRight, tw.AlignRight)
}
