package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Register loads a model into the server.
func (c *Client) Register(ctx context.Context, r model.Registration) (model.Outcome, error) {
	q := url.Values{"url": {r.URL}, "synchronous": {strconv.FormatBool(!r.Async)}}
	set := func(name, value, none string) {
		if value != none {
			q.Set(name, value)
		}
	}
	set("model_name", r.Name, "")
	set("model_version", r.Version, "")
	set("handler", r.Handler, "")
	set("runtime", r.Runtime, "")
	set("batch_size", strconv.Itoa(r.BatchSize), "0")
	set("max_batch_delay", strconv.FormatInt(r.MaxBatchDelay.Milliseconds(), 10), "0")
	set("response_timeout", strconv.Itoa(int(r.ResponseTimeout/time.Second)), "0")
	set("startup_timeout", strconv.Itoa(int(r.StartupTimeout/time.Second)), "0")
	if r.Workers != nil {
		q.Set("initial_workers", strconv.Itoa(*r.Workers))
	}
	text, code, err := c.status(ctx, http.MethodPost, "/models?"+q.Encode())
	if err != nil {
		return model.Outcome{}, err
	}
	out := model.Outcome{Ref: model.Ref{Name: r.Name, Version: r.Version}, Pending: code == http.StatusAccepted}
	if found := registered.FindStringSubmatch(text); found != nil {
		out.Ref = model.Ref{Name: found[1], Version: found[2]}
		out.Workers, _ = strconv.Atoi(found[3])
	} else if !out.Pending {
		return out, fmt.Errorf("%w: the server answered %q to a registration", fault.Unavailable, text)
	}
	return out, nil
}

// registered is what a server says of a registration that is done.
var registered = regexp.MustCompile(`^Model "(.+)" Version: (\S+) registered with (\d+) initial workers`)

// Unregister takes a version away.
func (c *Client) Unregister(ctx context.Context, ref model.Ref) error {
	_, _, err := c.status(ctx, http.MethodDelete, "/models/"+ref.String())
	return err
}

// Scale sets how many workers a version has.
func (c *Client) Scale(ctx context.Context, ref model.Ref, s model.Scale) (model.Outcome, error) {
	q := url.Values{"min_worker": {strconv.Itoa(s.Min)}, "max_worker": {strconv.Itoa(s.Max)}, "synchronous": {strconv.FormatBool(!s.Async)}}
	_, code, err := c.status(ctx, http.MethodPut, "/models/"+ref.String()+"?"+q.Encode())
	return model.Outcome{Ref: ref, Workers: s.Min, Pending: code == http.StatusAccepted}, err
}

// SetDefault makes a version the one that requests without a version go to.
func (c *Client) SetDefault(ctx context.Context, ref model.Ref) error {
	_, _, err := c.status(ctx, http.MethodPut, "/models/"+ref.String()+"/set-default")
	return err
}

// List tells the names, in their order.
func (c *Client) List(ctx context.Context, p model.Page) (model.Listing, error) {
	q := url.Values{}
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Offset > 0 {
		q.Set("next_page_token", strconv.Itoa(p.Offset))
	}
	var body struct {
		Next   string `json:"nextPageToken"`
		Models []struct {
			Name string `json:"modelName"`
			URL  string `json:"modelUrl"`
		} `json:"models"`
	}
	if err := c.get(ctx, "/models?"+q.Encode(), &body); err != nil {
		return model.Listing{}, err
	}
	var l model.Listing
	l.Next, _ = strconv.Atoi(body.Next)
	for _, m := range body.Models {
		l.Models = append(l.Models, model.Listed{Name: m.Name, URL: m.URL})
	}
	return l, nil
}

// described is a version as the server describes it, as far as a [model.Status] tells it.
type described struct {
	Name            string `json:"modelName"`
	Version         string `json:"modelVersion"`
	URL             string `json:"modelUrl"`
	Runtime         string `json:"runtime"`
	MinWorkers      int    `json:"minWorkers"`
	MaxWorkers      int    `json:"maxWorkers"`
	BatchSize       int    `json:"batchSize"`
	MaxBatchDelay   int64  `json:"maxBatchDelay"`
	ResponseTimeout int64  `json:"responseTimeout"`
	StartupTimeout  int64  `json:"startupTimeout"`
	LoadedAtStartup bool   `json:"loadedAtStartup"`
	Workers         []struct {
		ID        string `json:"id"`
		StartTime string `json:"startTime"`
		Status    string `json:"status"`
		Memory    int64  `json:"memoryUsage"`
		PID       int    `json:"pid"`
	} `json:"workers"`
	Queue struct {
		Remaining int `json:"remainingCapacity"`
		Pending   int `json:"pendingRequests"`
	} `json:"jobQueueStatus"`
	Customized map[string]any `json:"customizedMetadata"`
}

// Describe tells of one version, or of all. Which one is the default is told where that was asked for.
func (c *Client) Describe(ctx context.Context, ref model.Ref, d model.Description) ([]model.Status, error) {
	path := "/models/" + ref.String()
	switch {
	case d.All:
		path = "/models/" + ref.Name + "/all"
	case d.Customized:
		path += "?customized=true"
	}
	var body []described
	if err := c.get(ctx, path, &body); err != nil {
		return nil, err
	}
	all := make([]model.Status, len(body))
	for i, b := range body {
		all[i] = b.status()
		all[i].Default = ref.Version == "" && !d.All
	}
	if d.All { // the list does not tell which one is the default
		var def []described
		if err := c.get(ctx, "/models/"+ref.Name, &def); err != nil {
			return nil, err
		}
		for i := range all {
			all[i].Default = len(def) == 1 && all[i].Ref.Version == def[0].Version
		}
	}
	return all, nil
}

func (d described) status() model.Status {
	s := model.Status{
		Ref: model.Ref{Name: d.Name, Version: d.Version}, URL: d.URL, Runtime: d.Runtime,
		MinWorkers: d.MinWorkers, MaxWorkers: d.MaxWorkers, BatchSize: d.BatchSize,
		MaxBatchDelay:   time.Duration(d.MaxBatchDelay) * time.Millisecond,
		ResponseTimeout: time.Duration(d.ResponseTimeout) * time.Second, StartupTimeout: time.Duration(d.StartupTimeout) * time.Second,
		AtStartup: d.LoadedAtStartup, QueueRemaining: d.Queue.Remaining, QueuePending: d.Queue.Pending, Customized: d.Customized,
	}
	for _, w := range d.Workers {
		started, _ := time.Parse(time.RFC3339, w.StartTime) // zero where it cannot be read
		s.Workers = append(s.Workers, model.Worker{ID: w.ID, Started: started, Ready: w.Status == "READY", Memory: w.Memory, PID: w.PID})
		s.Memory += w.Memory
	}
	return s
}

// get reads a JSON answer of the management API.
func (c *Client) get(ctx context.Context, path string, into any) error {
	_, err := c.call(ctx, http.MethodGet, path, into)
	return err
}

// status makes a call of the management API that answers {"status": text}.
func (c *Client) status(ctx context.Context, method, path string) (text string, code int, err error) {
	var body struct {
		Status string `json:"status"`
	}
	code, err = c.call(ctx, method, path, &body)
	return body.Status, code, err
}

func (c *Client) call(ctx context.Context, method, path string, into any) (code int, err error) {
	resp, err := c.do(ctx, call{api: managementAPI, method: method, path: path})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	text, err := c.read(resp)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return 0, fmt.Errorf("%w: the server's answer is not what a model server answers: %w", fault.Unavailable, err)
	}
	return resp.StatusCode, nil
}
