package management

import (
	"time"

	"github.com/tsgo/tsgo/pkg/model"
)

// Described is a version in a description: TorchServe's fields in their order. What has no meaning here has the value that
// TorchServe gives it where nothing was said.
type Described struct {
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
	Workers             []Worker       `json:"workers"`
	Queue               Queue          `json:"jobQueueStatus"`
	CustomizedMetadata  map[string]any `json:"customizedMetadata,omitzero"`
}

// Worker is one of a version's workers.
type Worker struct {
	ID        string `json:"id"`
	StartTime string `json:"startTime"`
	Status    string `json:"status"`
	Memory    int64  `json:"memoryUsage"`
	PID       int    `json:"pid"`
	GPU       bool   `json:"gpu"`
	GPUUsage  string `json:"gpuUsage"`
}

// Queue is how full a version's queue is.
type Queue struct {
	Remaining int `json:"remainingCapacity"`
	Pending   int `json:"pendingRequests"`
}

// startTime is how a worker's start is written, in UTC.
const startTime = "2006-01-02T15:04:05.000Z"

// retryTimeout is TorchServe's default of maxRetryTimeoutInSec.
const retryTimeout = 300

func body(s model.Status, customized bool) Described {
	d := Described{
		Name: s.Ref.Name, Version: s.Ref.Version, URL: s.URL, Runtime: s.Runtime,
		MinWorkers: s.MinWorkers, MaxWorkers: s.MaxWorkers, BatchSize: s.BatchSize,
		MaxBatchDelay: s.MaxBatchDelay.Milliseconds(), ResponseTimeout: seconds(s.ResponseTimeout),
		StartupTimeout: seconds(s.StartupTimeout), ClientTimeout: s.MaxQueueDelay.Milliseconds(), MaxRetryTimeout: retryTimeout, DeviceType: "cpu",
		MaxSequenceJobQueue: 1, LoadedAtStartup: s.AtStartup, Workers: []Worker{}, Queue: Queue{s.QueueRemaining, s.QueuePending},
	}
	if d.Runtime == "" {
		d.Runtime = "onnxruntime"
	}
	for _, w := range s.Workers {
		state := "LOADING"
		if w.Ready {
			state = "READY"
		}
		d.Workers = append(d.Workers, Worker{
			ID: w.ID, StartTime: w.Started.UTC().Format(startTime), Status: state, Memory: w.Memory, PID: w.PID, GPUUsage: "N/A",
		})
	}
	if customized {
		d.CustomizedMetadata = s.Customized
		if d.CustomizedMetadata == nil { // asked for, and nothing told
			d.CustomizedMetadata = map[string]any{}
		}
	}
	return d
}

// seconds rounds up: a timeout of half a second is not none.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
