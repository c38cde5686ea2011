package figures

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// MetricsName is the name of the file beside FileName that has the worker's
// figures, and the watcher's, as the textfile collector of Prometheus' node
// exporter reads them.
const MetricsName = "sshnotify.prom"

// Text returns figures in Prometheus' text format, 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). w is nil where
// nobody watches. Labels are from small sets that the settings bound. There are
// times and no ages, because a file that nobody writes any more stays the same.
func Text(f Figures, w *Watch) []byte {
	var m metrics
	m.family("sshnotify_build_info", "gauge", "The version that runs; always 1.")
	m.sample("sshnotify_build_info", 1, "version", f.Version)
	m.family("sshnotify_last_run_timestamp_seconds", "gauge", "When the worker last showed that it lives.")
	m.time("sshnotify_last_run_timestamp_seconds", f.Written)
	m.family("sshnotify_events_total", "counter", "Events that are done with.")
	for _, kind := range slices.Sorted(maps.Keys(f.Events)) {
		m.sample("sshnotify_events_total", float64(f.Events[kind]), "kind", string(kind))
	}
	m.family("sshnotify_logins_total", "counter", "Logins by how they were judged.")
	for _, s := range slices.Sorted(maps.Keys(f.Logins)) {
		m.sample("sshnotify_logins_total", float64(f.Logins[s]), "severity", s)
	}
	dests := slices.Sorted(maps.Keys(f.Dest))
	m.family("sshnotify_deliveries_total", "counter", "Tries to send a message: sent, or how they failed.")
	for _, name := range dests {
		outcomes := f.Dest[name].Outcomes
		for _, o := range slices.Sorted(maps.Keys(outcomes)) {
			m.sample("sshnotify_deliveries_total", float64(outcomes[o]), "destination", name, "outcome", o)
		}
	}
	m.family("sshnotify_destination_up", "gauge", "Whether messages arrive there, as far as is known.")
	for _, name := range dests {
		m.sample("sshnotify_destination_up", truth(f.Dest[name].Up()), "destination", name)
	}
	m.family("sshnotify_destination_last_success_timestamp_seconds", "gauge", "When a message last arrived there.")
	for _, name := range dests {
		m.time("sshnotify_destination_last_success_timestamp_seconds", f.Dest[name].Last, "destination", name)
	}
	m.family("sshnotify_queue_events", "gauge", "Events in the queue: waiting for the first try or for their time, to be tried again, dead letters.")
	m.sample("sshnotify_queue_events", float64(f.Queue.Waiting-f.Queue.Retry), "state", "waiting")
	m.sample("sshnotify_queue_events", float64(f.Queue.Retry), "state", "retry")
	m.sample("sshnotify_queue_events", float64(f.Queue.Dead), "state", "dead")
	m.family("sshnotify_queue_oldest_timestamp_seconds", "gauge", "When the oldest event that a destination has not taken happened; none where there is none.")
	m.time("sshnotify_queue_oldest_timestamp_seconds", f.Queue.Oldest)
	if h := f.Beat; h != nil {
		m.family("sshnotify_heartbeat_up", "gauge", "Whether heartbeats arrive, as far as is known.")
		m.sample("sshnotify_heartbeat_up", truth(h.Failing.IsZero()))
		m.family("sshnotify_heartbeat_last_success_timestamp_seconds", "gauge", "When a heartbeat last arrived.")
		m.time("sshnotify_heartbeat_last_success_timestamp_seconds", h.Last)
	}
	m.histogram("sshnotify_delivery_seconds", "From an event to its being told.", f.Delay)
	if f.Hub != nil {
		m.hub(*f.Hub)
	}
	if f.HandOver != nil {
		m.handOver(*f.HandOver)
	}
	if w != nil {
		m.watch(*w)
	}
	return m.Bytes()
}

// metrics is a text that is being written.
type metrics struct{ bytes.Buffer }

func (m *metrics) watch(w Watch) {
	names := slices.Sorted(maps.Keys(w.Sources))
	m.family("sshnotify_watch_last_run_timestamp_seconds", "gauge", "When the watcher last showed that it lives.")
	m.time("sshnotify_watch_last_run_timestamp_seconds", w.Written)
	m.family("sshnotify_watch_attackers", "gauge", "Addresses that tried to get in within the hour.")
	m.sample("sshnotify_watch_attackers", float64(w.Attackers))
	m.family("sshnotify_watch_lines_total", "counter", "Lines of logs that were read.")
	for _, name := range names {
		m.sample("sshnotify_watch_lines_total", float64(w.Sources[name].Lines), "source", name)
	}
	m.family("sshnotify_watch_source_up", "gauge", "Whether the source can be read.")
	for _, name := range names {
		m.sample("sshnotify_watch_source_up", truth(!w.Sources[name].Broken), "source", name)
	}
	m.family("sshnotify_watch_source_last_line_timestamp_seconds", "gauge", "When a line of the source was last read.")
	for _, name := range names {
		m.time("sshnotify_watch_source_last_line_timestamp_seconds", w.Sources[name].Last, "source", name)
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (m *metrics) family(name, typ, help string) {
	fmt.Fprintf(m, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", name, help, typ)
}

// sample writes a value with labels, each a name and its value.
func (m *metrics) sample(name string, v float64, labels ...string) {
	m.WriteString(name)
	before := "{"
	for i := 0; i+1 < len(labels); i += 2 {
		m.WriteString(before)
		before = ","
		m.WriteString(labels[i] + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		m.WriteString("}")
	}
	fmt.Fprintf(m, " %s\n", number(v))
}

// time writes a time, if it is one.
func (m *metrics) time(name string, t time.Time, labels ...string) {
	if !t.IsZero() {
		m.sample(name, float64(t.UnixMilli())/1000, labels...)
	}
}

func (m *metrics) histogram(name, help string, h Histogram) {
	m.family(name, "histogram", help)
	n := int64(0)
	for i, count := range h.Counts {
		n += count
		end := "+Inf"
		if i < len(Buckets) {
			end = number(Buckets[i])
		}
		m.sample(name+"_bucket", float64(n), "le", end)
	}
	m.sample(name+"_sum", h.Sum)
	m.sample(name+"_count", float64(n))
}
