package metric

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
)

// machine tells how the machine is, under TorchServe's names, at the moment of the scrape. What cannot be found out is left
// out; it never breaks a scrape. TorchServe's gauges of GPUs are not among them: networks run on the CPU.
type machine struct{ gauges map[string]*prometheus.Desc }

func newMachine(hostname string) *machine {
	m := &machine{gauges: map[string]*prometheus.Desc{}}
	for name, unit := range map[string]string{
		"CPUUtilization": "Percent", "MemoryUtilization": "Percent", "DiskUtilization": "Percent",
		"MemoryUsed": "Megabytes", "MemoryAvailable": "Megabytes", "DiskUsage": "Gigabytes", "DiskAvailable": "Gigabytes",
	} {
		m.gauges[name] = prometheus.NewDesc(name, help("gauge", unit), nil, prometheus.Labels{"Level": "Host", "Hostname": hostname})
	}
	return m
}

// Describe sends what the collector may send.
func (m *machine) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range m.gauges {
		out <- desc
	}
}

// Collect sends what can be found out now.
func (m *machine) Collect(out chan<- prometheus.Metric) {
	send := func(name string, value float64) {
		out <- prometheus.MustNewConstMetric(m.gauges[name], prometheus.GaugeValue, value)
	}
	const mega, giga = 1 << 20, 1 << 30
	if percent, err := cpu.Percent(0, false); err == nil && len(percent) == 1 {
		send("CPUUtilization", percent[0])
	}
	if memory, err := mem.VirtualMemory(); err == nil {
		send("MemoryUsed", float64(memory.Used)/mega)
		send("MemoryAvailable", float64(memory.Available)/mega)
		send("MemoryUtilization", memory.UsedPercent)
	}
	if usage, err := disk.Usage("/"); err == nil {
		send("DiskUsage", float64(usage.Used)/giga)
		send("DiskAvailable", float64(usage.Free)/giga)
		send("DiskUtilization", usage.UsedPercent)
	}
}
