package metric

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Labels of TorchServe's instruments, in its order.
const (
	hostLevel  = "Host"
	modelLevel = "Model"
	// unversioned is the version of requests that name none.
	unversioned = "default"
)

func hostLabels() []string { return []string{"Level", "Hostname"} }

// torchServe is the instruments of TorchServe that requests move. What it calls a latency is a sum of microseconds.
type torchServe struct {
	requests, latency, queueLatency *prometheus.CounterVec // model_name, model_version, hostname
	queueTime, threadTime           *prometheus.GaugeVec   // of the last request, in milliseconds
	handlerTime, predictionTime     *prometheus.GaugeVec   // by model; of the last request, in milliseconds
}

func newTorchServe() torchServe {
	version := []string{"model_name", "model_version", "hostname"}
	name := []string{"ModelName", "Level", "Hostname"}
	return torchServe{
		requests:       torchCounter("ts_inference_requests_total", "Count", version...),
		latency:        torchCounter("ts_inference_latency_microseconds", "Microseconds", version...),
		queueLatency:   torchCounter("ts_queue_latency_microseconds", "Microseconds", version...),
		queueTime:      torchGauge("QueueTime", "Milliseconds", hostLabels()...),
		threadTime:     torchGauge("WorkerThreadTime", "Milliseconds", hostLabels()...),
		handlerTime:    torchGauge("HandlerTime", "ms", name...),
		predictionTime: torchGauge("PredictionTime", "ms", name...),
	}
}

func (t torchServe) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		t.requests, t.latency, t.queueLatency, t.queueTime, t.threadTime, t.handlerTime, t.predictionTime,
	}
}

func torchCounter(name, unit string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: torchHelp("counter", unit)}, labels)
}

func torchGauge(name, unit string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: torchHelp("gauge", unit)}, labels)
}

func torchDesc(name, unit string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, torchHelp("gauge", unit), labels, nil)
}

// torchHelp is TorchServe's text for each of its instruments.
func torchHelp(kind, unit string) string {
	return "Torchserve prometheus " + kind + " metric with unit: " + unit
}
