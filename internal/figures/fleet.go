package figures

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Hub are the figures of a hub: how many hosts hand over to it, and what came.
type Hub struct {
	Hosts  int `json:"hosts"`            // that it lets in
	Silent int `json:"silent,omitempty"` // of Hosts: no beat comes
	Gaps   int `json:"gaps,omitempty"`   // of Hosts: events are missing, by their numbers
	// Waiting are events that its worker has not claimed; Oldest is when the oldest of
	// them came, zero where there is none.
	Waiting int       `json:"waiting"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Events are those that came, by outcome: Stored, Duplicate, Rejected.
	Events map[string]int64 `json:"events"`
	// TurnedAway are requests that it did not let in.
	TurnedAway int64 `json:"turned_away"`
	// Standby: it is a host that can take over, and Copied is of when its copy of the hub's
	// database is.
	Standby bool      `json:"standby,omitempty"`
	Copied  time.Time `json:"copied,omitzero"`
}

// The outcomes of an event that comes to a hub.
const (
	Stored    = "stored"
	Duplicate = "duplicate"
	Rejected  = "rejected"
)

// HandOver is how a host stands with its hub.
type HandOver struct {
	// Events are those handed over, by outcome as the hub said it.
	Events  map[string]int64 `json:"events"`
	Last    time.Time        `json:"last,omitzero"`     // when the hub last answered
	Failing time.Time        `json:"failing,omitzero"`  // since when it does not; zero: it does
	Refused bool             `json:"refused,omitempty"` // it answers, and does not let this host in
}

// Up reports whether the hub takes events, as far as anybody knows.
func (h HandOver) Up() bool { return h.Failing.IsZero() && !h.Refused }

// Hub has a function change the figures of a hub, which are there from the first
// call on. It must not call the Recorder.
func (r *Recorder) Hub(change func(*Hub)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f.Hub == nil {
		r.f.Hub = new(Hub)
	}
	if r.f.Hub.Events == nil {
		r.f.Hub.Events = map[string]int64{}
	}
	change(r.f.Hub)
}

// NoHub says that this is none.
func (r *Recorder) NoHub() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.Hub = nil
}

// HandOver is Hub for how a host stands with its hub.
func (r *Recorder) HandOver(change func(*HandOver)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f.HandOver == nil {
		r.f.HandOver = new(HandOver)
	}
	if r.f.HandOver.Events == nil {
		r.f.HandOver.Events = map[string]int64{}
	}
	change(r.f.HandOver)
}

// NoHandOver says that this host hands over to nobody.
func (r *Recorder) NoHandOver() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.HandOver = nil
}

// clone returns a copy that nothing changes.
func (h *Hub) clone() *Hub {
	if h == nil {
		return nil
	}
	c := *h
	c.Events = maps.Clone(h.Events)
	return &c
}

func (h *HandOver) clone() *HandOver {
	if h == nil {
		return nil
	}
	c := *h
	c.Events = maps.Clone(h.Events)
	return &c
}

func (m *metrics) hub(h Hub) {
	m.family("sshnotify_hub_hosts", "gauge", "Hosts that this hub lets in: of which it hears, and which are silent.")
	m.sample("sshnotify_hub_hosts", float64(h.Hosts-h.Silent), "state", "heard")
	m.sample("sshnotify_hub_hosts", float64(h.Silent), "state", "silent")
	m.family("sshnotify_hub_gaps", "gauge", "Hosts of which events are missing, by their numbers.")
	m.sample("sshnotify_hub_gaps", float64(h.Gaps))
	m.family("sshnotify_hub_events_total", "counter", "Events that hosts handed over, by what the hub made of them.")
	for _, o := range slices.Sorted(maps.Keys(h.Events)) {
		m.sample("sshnotify_hub_events_total", float64(h.Events[o]), "outcome", o)
	}
	m.family("sshnotify_hub_turned_away_total", "counter", "Requests that the hub did not let in.")
	m.sample("sshnotify_hub_turned_away_total", float64(h.TurnedAway))
	m.family("sshnotify_hub_inbox_events", "gauge", "Events of hosts that the hub's worker has not claimed.")
	m.sample("sshnotify_hub_inbox_events", float64(h.Waiting))
	m.family("sshnotify_hub_inbox_oldest_timestamp_seconds", "gauge", "When the oldest of them came; none where there is none.")
	m.time("sshnotify_hub_inbox_oldest_timestamp_seconds", h.Oldest)
	m.family("sshnotify_hub_standby", "gauge", "Whether this host keeps a copy of the hub's database, to take over with.")
	m.sample("sshnotify_hub_standby", truth(h.Standby))
	m.family("sshnotify_hub_copy_timestamp_seconds", "gauge", "Of when that copy is.")
	m.time("sshnotify_hub_copy_timestamp_seconds", h.Copied)
}

func (m *metrics) handOver(h HandOver) {
	m.family("sshnotify_handover_up", "gauge", "Whether the hub takes this host's events, as far as is known.")
	m.sample("sshnotify_handover_up", truth(h.Up()))
	m.family("sshnotify_handover_last_answer_timestamp_seconds", "gauge", "When the hub last answered.")
	m.time("sshnotify_handover_last_answer_timestamp_seconds", h.Last)
	m.family("sshnotify_handover_events_total", "counter", "Events that were handed over, by what the hub made of them.")
	for _, o := range slices.Sorted(maps.Keys(h.Events)) {
		m.sample("sshnotify_handover_events_total", float64(h.Events[o]), "outcome", o)
	}
}

// hub judges a hub's figures.
func (v *Verdict) hub(h Hub, now time.Time) {
	if h.Standby {
		since := time.Duration(0)
		if !h.Copied.IsZero() {
			since = max(0, now.Sub(h.Copied))
		}
		v.value("copy", "copy", math.Floor(since.Seconds()), "s", "the copy of the hub is of "+Ago(since)+" ago")
		if h.Copied.IsZero() {
			v.say(Critical, "there is no copy of the hub")
		}
		return
	}
	v.value("hosts", "hosts", float64(h.Hosts), "", fmt.Sprintf("hosts: %d", h.Hosts))
	v.value("silent", "silent_hosts", float64(h.Silent), "", fmt.Sprintf("silent hosts: %d", h.Silent))
	v.value("gaps", "gaps", float64(h.Gaps), "", fmt.Sprintf("hosts of which events are missing: %d", h.Gaps))
	v.value("inbox", "inbox", float64(h.Waiting), "", fmt.Sprintf("%d from hosts not looked at", h.Waiting))
	oldest := time.Duration(0)
	if !h.Oldest.IsZero() {
		oldest = max(0, now.Sub(h.Oldest))
	}
	v.value("inbox_oldest", "inbox_oldest", math.Floor(oldest.Seconds()), "s", "the oldest from a host came "+Ago(oldest)+" ago")
	for _, o := range []string{Stored, Duplicate, Rejected} {
		v.perf = append(v.perf, fmt.Sprintf("%s=%dc", o, h.Events[o]))
	}
	v.perf = append(v.perf, fmt.Sprintf("turned_away=%dc", h.TurnedAway))
}

// handOver judges how a host stands with its hub.
func (v *Verdict) handOver(h HandOver, now time.Time) {
	if h.Refused {
		v.say(Critical, "the hub does not let this host in")
	}
	// Without an answer yet, since it was first asked.
	since := h.Last
	if since.IsZero() {
		since = h.Failing
	}
	silence := time.Duration(0)
	if !since.IsZero() {
		silence = max(0, now.Sub(since))
	}
	v.value("hub", "hub", math.Floor(silence.Seconds()), "s", "the hub has not answered for "+Ago(silence))
	v.perf = append(v.perf, fmt.Sprintf("handed_over=%dc", h.Events[Stored]+h.Events[Duplicate]))
}
