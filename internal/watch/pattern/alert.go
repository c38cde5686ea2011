package pattern

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// eventType is what kind of record Suricata writes.
const eventType = "event_type"

// severity is that of an alert. Suricata's and Snort's 1 is the worst; without
// one nothing is known, which is not low.
//
// https://docs.suricata.io/en/latest/output/eve/eve-json-format.html
func (d *decoder) severity(r *record) event.Severity {
	n, err := strconv.Atoi(r.text(d.level))
	switch {
	case err != nil || n < 1 || n == 2:
		return event.Medium
	case n == 1:
		return event.High
	}
	return event.Low
}

// describe says what there is to say of an alert. Each value in it is cleaned.
func (d *decoder) describe(r *record) (title, text string) {
	field := func(name string) string { return event.Clean(r.text(name), maxValue) }
	msg, src, dst, action := field(d.msg), field(d.src), field(d.dst), field(d.action)
	rule := ""
	if sid := field(d.sid); sid != "" {
		rule = cmp.Or(field(d.gid), "1") + ":" + sid + ":" + cmp.Or(field(d.rev), "0")
	}
	// Snort 3 writes the rule's own quotes along.
	if d.snort3 && len(msg) > 1 && strings.HasPrefix(msg, `"`) && strings.HasSuffix(msg, `"`) {
		msg = msg[1 : len(msg)-1]
	}
	var parts []string
	add := func(before, s string) {
		if s != "" {
			parts = append(parts, before+s)
		}
	}
	add("rule ", rule)
	add("", field(d.class))
	add("priority ", field(d.level))
	if src != "" || dst != "" {
		flow := joinPort(src, field(d.srcPort)) + " → " + joinPort(dst, field(d.dstPort))
		parts = append(parts, strings.TrimSpace(field("proto")+" "+flow))
	}
	if action != "allow" && action != "allowed" && action != "alert" {
		add("", action)
	}
	what := msg
	if msg == "" && rule != "" {
		what = "rule " + rule
	}
	title = d.program + ": " + cmp.Or(what, "alert")
	if kind := field(eventType); d.program == suricata && kind != "alert" {
		title = "Suricata " + kind
	}
	return title, strings.Join(parts, " · ")
}

// joinPort puts a port after an address. Snort 3 says port 0 where there is none.
func joinPort(ip, port string) string {
	switch {
	case ip == "":
		return "?"
	case port == "" || port == "0":
		return ip
	case strings.Contains(ip, ":"):
		return "[" + ip + "]:" + port
	}
	return ip + ":" + port
}

// future is how far a clock may be ahead: a time without a year that is later
// was a year ago.
const future = 24 * time.Hour

// time is when an alert says that it happened; zero: it does not say. at is
// about when, for the year that Snort leaves out. Of two forms that fit, as
// 11/10/12, it takes the one that is nearer.
func (d *decoder) time(r *record, at time.Time, zone *time.Location) time.Time {
	if !d.alerts() {
		return time.Time{}
	}
	if d.snort3 {
		// What it is asked for as "seconds" has a year and a zone.
		if n, err := strconv.ParseInt(r.text("seconds"), 10, 64); err == nil && n > 0 && n < 1<<33 {
			return time.Unix(n, 0).UTC()
		}
	}
	stamp := r.text("timestamp")
	var best time.Time
	for _, layout := range d.stamps {
		t, err := time.ParseInLocation(layout, stamp, zone)
		if err == nil && (best.IsZero() || !at.IsZero() && t.Sub(at).Abs() < best.Sub(at).Abs()) {
			best = t
		}
		if err == nil && d.program != snort {
			break // its forms have a year and a zone
		}
	}
	if !best.IsZero() || at.IsZero() || d.program != snort {
		return best.UTC()
	}
	// The 29th of February needs the year in which it was.
	for year := at.In(zone).Year() + 1; year >= at.In(zone).Year()-8; year-- {
		t, err := time.ParseInLocation("2006/01/02-15:04:05", strconv.Itoa(year)+"/"+stamp, zone)
		if err == nil && !t.After(at.Add(future)) {
			return t.UTC()
		}
	}
	return time.Time{}
}
