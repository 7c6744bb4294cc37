package metric

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
)

// system reads the host's load when the page is made. What cannot be read is left out.
type system struct {
	hostname, path                        string
	cpu                                   *prometheus.Desc
	memoryUsed, memoryFree, memoryPercent *prometheus.Desc
	diskUsed, diskFree, diskPercent       *prometheus.Desc

	mu      sync.Mutex // guards what follows
	busy    float64    // seconds of all processors until the last reading, and
	total   float64    // the same with the idle ones
	percent float64    // between the last two readings
}

func newSystem(hostname, path string) *system {
	gauge := func(name, unit string) *prometheus.Desc { return torchDesc(name, unit, hostLabels()...) }
	s := &system{
		hostname: hostname, path: path,
		cpu:           gauge("CPUUtilization", "Percent"),
		memoryUsed:    gauge("MemoryUsed", "Megabytes"),
		memoryFree:    gauge("MemoryAvailable", "Megabytes"),
		memoryPercent: gauge("MemoryUtilization", "Percent"),
		diskUsed:      gauge("DiskUsage", "Gigabytes"),
		diskFree:      gauge("DiskAvailable", "Gigabytes"),
		diskPercent:   gauge("DiskUtilization", "Percent"),
	}
	s.load() // what the first page counts from
	return s
}

// Describe implements prometheus.Collector.
func (s *system) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		s.cpu, s.memoryUsed, s.memoryFree, s.memoryPercent, s.diskUsed, s.diskFree, s.diskPercent,
	} {
		out <- desc
	}
}

// Units of the host's memory and disk.
const (
	megabyte = 1 << 20
	gigabyte = 1 << 30
)

// Collect implements prometheus.Collector.
func (s *system) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, hostLevel, s.hostname)
	}
	if percent, ok := s.load(); ok {
		gauge(s.cpu, percent)
	}
	if memory, err := mem.VirtualMemory(); err == nil {
		gauge(s.memoryUsed, float64(memory.Used)/megabyte)
		gauge(s.memoryFree, float64(memory.Available)/megabyte)
		gauge(s.memoryPercent, memory.UsedPercent)
	}
	if usage, err := disk.Usage(s.path); err == nil {
		gauge(s.diskUsed, float64(usage.Used)/gigabyte)
		gauge(s.diskFree, float64(usage.Free)/gigabyte)
		gauge(s.diskPercent, usage.UsedPercent)
	}
}

// load returns how busy the processors were since it was last called, in percent.
func (s *system) load() (percent float64, ok bool) {
	times, err := cpu.Times(false)
	if err != nil || len(times) == 0 {
		return 0, false
	}
	t := times[0]
	// A guest's time is in the user's already, and waiting for a disk is idling.
	busy := t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
	total := busy + t.Idle + t.Iowait
	s.mu.Lock()
	defer s.mu.Unlock()
	if total > s.total {
		s.percent = 100 * min(1, max(0, busy-s.busy)/(total-s.total))
		s.busy, s.total = busy, total
	}
	return s.percent, true
}
