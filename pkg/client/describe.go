package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/model"
)

// described is a version as the server describes it.
type described struct {
	Name            string         `json:"modelName"`
	Version         string         `json:"modelVersion"`
	URL             string         `json:"modelUrl"`
	Runtime         string         `json:"runtime"`
	MinWorkers      int            `json:"minWorkers"`
	MaxWorkers      int            `json:"maxWorkers"`
	BatchSize       int            `json:"batchSize"`
	MaxBatchDelay   int64          `json:"maxBatchDelay"`   // milliseconds
	ResponseTimeout int64          `json:"responseTimeout"` // seconds
	StartupTimeout  int64          `json:"startupTimeout"`  // seconds
	MaxQueueDelay   int64          `json:"clientTimeoutInMills"`
	AtStartup       bool           `json:"loadedAtStartup"`
	Workers         []worker       `json:"workers"`
	Queue           queue          `json:"jobQueueStatus"`
	Customized      map[string]any `json:"customizedMetadata"`
}

type worker struct {
	ID      string `json:"id"`
	Started string `json:"startTime"`
	Status  string `json:"status"`
	Memory  int64  `json:"memoryUsage"`
	PID     int    `json:"pid"`
}

type queue struct {
	Remaining int `json:"remainingCapacity"`
	Pending   int `json:"pendingRequests"`
}

// ready is the status of a worker that can answer.
const ready = "READY"

func (d described) status() model.Status {
	s := model.Status{
		Ref: model.Ref{Name: d.Name, Version: d.Version}, URL: d.URL, Runtime: d.Runtime,
		MinWorkers: d.MinWorkers, MaxWorkers: d.MaxWorkers, BatchSize: d.BatchSize,
		MaxBatchDelay:   time.Duration(d.MaxBatchDelay) * time.Millisecond,
		ResponseTimeout: time.Duration(d.ResponseTimeout) * time.Second,
		StartupTimeout:  time.Duration(d.StartupTimeout) * time.Second,
		MaxQueueDelay:   time.Duration(d.MaxQueueDelay) * time.Millisecond,
		AtStartup:       d.AtStartup, QueueRemaining: d.Queue.Remaining, QueuePending: d.Queue.Pending, Customized: d.Customized,
	}
	for _, w := range d.Workers {
		started, _ := time.Parse(time.RFC3339, w.Started) // a time that cannot be read is not known
		s.Workers = append(s.Workers, model.Worker{ID: w.ID, Started: started, Ready: w.Status == ready, Memory: w.Memory, PID: w.PID})
		s.Memory += w.Memory
	}
	return s
}

// allVersions stands in the place of a version for all of them.
const allVersions = "all"

// Describe tells of one version, the default one where ref names none, or of all. A version's memory is that of
// its workers together; its handler is not on the wire, and stays empty.
func (c *Client) Describe(ctx context.Context, ref model.Ref, d model.Description) ([]model.Status, error) {
	if err := ref.Check(); err != nil {
		return nil, err
	}
	path, query := segments(ref), url.Values{}
	switch {
	case d.All:
		path = []string{ref.Name, allVersions}
	case d.Customized:
		query.Set("customized", "true")
	}
	all, err := c.versions(ctx, query, path...)
	if err != nil {
		return nil, err
	}
	standard := all[0].Ref.Version
	if d.All || ref.Version != "" { // the answer does not tell which version is the default one
		now, err := c.versions(ctx, nil, ref.Name)
		if err != nil {
			return nil, err
		}
		standard = now[0].Ref.Version
	}
	for i := range all {
		all[i].Default = all[i].Ref.Version == standard
	}
	return all, nil
}

// one tells of one version, but not whether it is the default one.
func (c *Client) one(ctx context.Context, ref model.Ref) (model.Status, error) {
	if err := ref.Check(); err != nil {
		return model.Status{}, err
	}
	all, err := c.versions(ctx, nil, segments(ref)...)
	if err != nil {
		return model.Status{}, err
	}
	return all[0], nil
}

// versions gets a description, which has one version at least.
func (c *Client) versions(ctx context.Context, query url.Values, path ...string) ([]model.Status, error) {
	a, err := c.manage(ctx, http.MethodGet, query, path...)
	if err != nil {
		return nil, err
	}
	var bodies []described
	if err := a.decode(&bodies); err != nil {
		return nil, err
	}
	if len(bodies) == 0 {
		return nil, a.nonsense(errors.New("it describes no version"))
	}
	all := make([]model.Status, len(bodies))
	for i, body := range bodies {
		all[i] = body.status()
		if all[i].Ref.Version == "" || all[i].Ref.Check() != nil {
			return nil, a.nonsense(fmt.Errorf("%q is no name and version", all[i].Ref))
		}
	}
	return all, nil
}

// List tells the names that are served, a page at a time.
func (c *Client) List(ctx context.Context, p model.Page) (model.Listing, error) {
	query := url.Values{}
	if p.Limit != 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Offset != 0 {
		query.Set("next_page_token", strconv.Itoa(p.Offset))
	}
	a, err := c.manage(ctx, http.MethodGet, query)
	if err != nil {
		return model.Listing{}, err
	}
	var body struct {
		Next   string `json:"nextPageToken"`
		Models []struct {
			Name string `json:"modelName"`
			URL  string `json:"modelUrl"`
		} `json:"models"`
	}
	if err := a.decode(&body); err != nil {
		return model.Listing{}, err
	}
	var l model.Listing
	for _, m := range body.Models {
		l.Models = append(l.Models, model.Listed{Name: m.Name, URL: m.URL})
	}
	if body.Next != "" {
		next, err := strconv.Atoi(body.Next)
		if err != nil || next <= p.Offset { // a page that leads back would never end
			return model.Listing{}, a.nonsense(fmt.Errorf("the next page %q does not follow page %d", body.Next, p.Offset))
		}
		l.Next = next
	}
	return l, nil
}
