package management

import (
	"fmt"
	"net/http"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/model"
)

// described is a version in a description: TorchServe's fields in their order. What has no meaning here has the value that
// TorchServe gives it where nothing was said.
type described struct {
	Name                string         `json:"modelName"`
	Version             string         `json:"modelVersion"`
	URL                 string         `json:"modelUrl"`
	Runtime             string         `json:"runtime"`
	MinWorkers          int            `json:"minWorkers"`
	MaxWorkers          int            `json:"maxWorkers"`
	BatchSize           int            `json:"batchSize"`
	MaxBatchDelay       int64          `json:"maxBatchDelay"`   // milliseconds
	ResponseTimeout     int64          `json:"responseTimeout"` // seconds
	StartupTimeout      int64          `json:"startupTimeout"`  // seconds
	MaxRetryTimeout     int64          `json:"maxRetryTimeoutInSec"`
	ClientTimeout       int64          `json:"clientTimeoutInMills"`
	ParallelType        string         `json:"parallelType"`
	ParallelLevel       int            `json:"parallelLevel"`
	DeviceType          string         `json:"deviceType"`
	ContinuousBatching  bool           `json:"continuousBatching"`
	UseJobTicket        bool           `json:"useJobTicket"`
	UseVenv             bool           `json:"useVenv"`
	Stateful            bool           `json:"stateful"`
	SequenceMaxIdle     int64          `json:"sequenceMaxIdleMSec"`
	SequenceTimeout     int64          `json:"sequenceTimeoutMSec"`
	MaxNumSequence      int            `json:"maxNumSequence"`
	MaxSequenceJobQueue int            `json:"maxSequenceJobQueueSize"`
	LoadedAtStartup     bool           `json:"loadedAtStartup"`
	Workers             []worker       `json:"workers"`
	Queue               queue          `json:"jobQueueStatus"`
	CustomizedMetadata  map[string]any `json:"customizedMetadata,omitempty"`
}

type worker struct {
	ID        string `json:"id"`
	StartTime string `json:"startTime"`
	Status    string `json:"status"`
	Memory    int64  `json:"memoryUsage"`
	PID       int    `json:"pid"`
	GPU       bool   `json:"gpu"`
	GPUUsage  string `json:"gpuUsage"`
}

type queue struct {
	Remaining int `json:"remainingCapacity"`
	Pending   int `json:"pendingRequests"`
}

// startTime is how a worker's start is written, in UTC.
const startTime = "2006-01-02T15:04:05.000Z"

// retryTimeout is TorchServe's default of maxRetryTimeoutInSec.
const retryTimeout = 300

func body(s model.Status, customized bool) described {
	d := described{
		Name: s.Ref.Name, Version: s.Ref.Version, URL: s.URL, Runtime: s.Runtime,
		MinWorkers: s.MinWorkers, MaxWorkers: s.MaxWorkers, BatchSize: s.BatchSize,
		MaxBatchDelay: s.MaxBatchDelay.Milliseconds(), ResponseTimeout: int64(s.ResponseTimeout / time.Second),
		StartupTimeout: int64(s.StartupTimeout / time.Second), MaxRetryTimeout: retryTimeout, DeviceType: "cpu",
		MaxSequenceJobQueue: 1, LoadedAtStartup: s.AtStartup, Workers: []worker{}, Queue: queue{s.QueueRemaining, s.QueuePending},
	}
	if d.Runtime == "" {
		d.Runtime = "onnxruntime"
	}
	for _, w := range s.Workers {
		state := "LOADING"
		if w.Ready {
			state = "READY"
		}
		d.Workers = append(d.Workers, worker{
			ID: w.ID, StartTime: w.Started.UTC().Format(startTime), Status: state, Memory: w.Memory, PID: w.PID, GPUUsage: "N/A",
		})
	}
	if customized {
		d.CustomizedMetadata = s.Customized
	}
	return d
}

// document is the API's OpenAPI document.
func (a *routes) document() api.Document {
	d := api.NewDocument("tsgo management API", a.opts.Version, a.opts.Servers)
	d.Paths["/models"] = api.Paths{
		"get": {
			OperationID: "listModels", Description: "List the models that are served.",
			Parameters: []api.Parameter{api.QueryParameter("limit", "integer", "How many at most, up to 100."), api.QueryParameter("next_page_token", "string", "Where the last page ended.")},
			Responses:  api.Answers("OK", "400"),
		},
		"post": {
			OperationID: "registerModel", Description: "Load a model and serve it. The parameters may stand in a JSON body.",
			Parameters: []api.Parameter{
				api.QueryParameter("url", "string", "A name in the model store, or a path inside it."),
				api.QueryParameter("model_name", "string", "In place of the manifest's."),
				api.QueryParameter("model_version", "string", "In place of the manifest's."),
				api.QueryParameter("handler", "string", "In place of the manifest's."),
				api.QueryParameter("batch_size", "integer", "The most requests in a batch."),
				api.QueryParameter("max_batch_delay", "integer", "Milliseconds that a request waits for company at most."),
				api.QueryParameter("initial_workers", "integer", "How many workers it begins with."),
				api.QueryParameter("synchronous", "boolean", "Whether the answer waits until the model can answer; true unless it is said."),
				api.QueryParameter("response_timeout", "integer", "Seconds that a batch may run."),
				api.QueryParameter("startup_timeout", "integer", "Seconds that loading may take."),
			},
			Responses: api.Answers("Registered", "202", "400", "404", "405", "409", "500"),
		},
	}
	name := api.PathParameter("model_name", "Name of the model.")
	version := api.PathParameter("model_version", "Version of the model.")
	d.Paths["/models/{model_name}"] = operations("", name)
	d.Paths["/models/{model_name}/{model_version}"] = operations("version_", name, version)
	d.Paths["/models/{model_name}/{model_version}/set-default"] = api.Paths{"put": {
		OperationID: "setDefault", Description: "Make a version the default one.", Parameters: []api.Parameter{name, version}, Responses: api.Answers("OK", "404"),
	}}
	return d
}

// operations are those of a model, or of a version.
func operations(prefix string, path ...api.Parameter) api.Paths {
	with := func(more ...api.Parameter) []api.Parameter {
		return append(append([]api.Parameter{}, path...), more...)
	}
	return api.Paths{
		"get": {
			OperationID: prefix + "describeModel", Description: "Tell what is known of a model.",
			Parameters: with(api.QueryParameter("customized", "boolean", "What its handler tells of itself, too.")), Responses: api.Answers("OK", "404", "503"),
		},
		"put": {
			OperationID: prefix + "setAutoScale", Description: "Set how many workers a model has.",
			Parameters: with(api.QueryParameter("min_worker", "integer", "At least so many; 1 unless it is said."), api.QueryParameter("max_worker", "integer", "At most so many."),
				api.QueryParameter("synchronous", "boolean", "Whether the answer waits; false unless it is said.")),
			Responses: api.Answers("Scaled", "202", "400", "404"),
		},
		"delete": {
			OperationID: prefix + "unregisterModel", Description: "Take a model away, once the requests that it has are answered.",
			Parameters: path, Responses: api.Answers("Unregistered", "403", "404", "405", "408"),
		},
	}
}

// describeAPI answers OPTIONS on a model's routes.
func (a *routes) describeAPI(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	if _, err := a.manager.Describe(r.Context(), ref, model.Description{}); err != nil {
		return api.About(err, ref)
	}
	d := api.NewDocument("RESTful Management API for: "+ref.Name, "1.0.0", a.opts.Servers)
	path := fmt.Sprintf("/models/%s", ref.Name)
	if ref.Version != "" {
		path += "/" + ref.Version
	}
	d.Paths = map[string]api.Paths{path: operations("")}
	return api.WriteJSON(w, http.StatusOK, d)
}
