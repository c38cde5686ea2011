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

// addressField is the field that holds an alert's source; "": there is none.
func (d *decoder) addressField() string {
	switch {
	case d.name == decoderSuricata:
		return "src_ip"
	case d.name == decoderSnort:
		return "src"
	case d.snort3():
		return "src_addr"
	}
	return ""
}

// severity is that of an alert. Suricata's and Snort's 1 is the worst; without
// one nothing is known, which is not low.
//
// https://docs.suricata.io/en/latest/output/eve/eve-json-format.html
func (d *decoder) severity(r *record) event.Severity {
	field := "priority"
	if d.name == decoderSuricata {
		field = "alert.severity"
	}
	n, err := strconv.Atoi(r.text(field))
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
	program, msg := "Snort", field("msg")
	src, srcPort, dst, dstPort := field("src"), field("srcport"), field("dst"), field("dstport")
	rule := joinRule(field("sig_generator"), field("sig_id"), field("sig_rev"))
	class, level, action := field("classification"), field("priority"), field("action")
	switch {
	case d.name == decoderSuricata:
		program, msg = "Suricata", field("alert.signature")
		src, srcPort, dst, dstPort = field("src_ip"), field("src_port"), field("dest_ip"), field("dest_port")
		rule = joinRule(field("alert.gid"), field("alert.signature_id"), field("alert.rev"))
		class, level, action = field("alert.category"), field("alert.severity"), field("alert.action")
		if kind := field(eventType); kind != "alert" {
			title = "Suricata " + kind
		}
	case d.snort3():
		src, srcPort, dst, dstPort = field("src_addr"), field("src_port"), field("dst_addr"), field("dst_port")
		rule = joinRule(field("gid"), field("sid"), field("rev"))
		class = field("class")
		// It writes the rule's own quotes along.
		if inner, ok := strings.CutPrefix(msg, `"`); ok && strings.HasSuffix(inner, `"`) {
			msg = strings.TrimSuffix(inner, `"`)
		}
	}
	var parts []string
	add := func(before, s string) {
		if s != "" {
			parts = append(parts, before+s)
		}
	}
	if rule != "" {
		parts = append(parts, "rule "+rule)
	}
	add("", class)
	add("priority ", level)
	if src != "" || dst != "" {
		flow := joinPort(src, srcPort) + " → " + joinPort(dst, dstPort)
		parts = append(parts, strings.TrimSpace(field("proto")+" "+flow))
	}
	if action != "allow" && action != "allowed" && action != "alert" {
		add("", action)
	}
	if title == "" {
		title = cmp.Or(msg, rule, "alert")
		if msg == "" && rule != "" {
			title = "rule " + rule
		}
		title = program + ": " + title
	}
	return title, strings.Join(parts, " · ")
}

func joinRule(gid, sid, rev string) string {
	if sid == "" {
		return ""
	}
	return cmp.Or(gid, "1") + ":" + sid + ":" + cmp.Or(rev, "0")
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
// about when, for the year that Snort leaves out.
func (d *decoder) time(r *record, at time.Time, zone *time.Location) time.Time {
	stamp := r.text("timestamp")
	switch {
	case d.name == decoderSuricata:
		for _, layout := range []string{"2006-01-02T15:04:05.999999999Z0700", time.RFC3339Nano} {
			if t, err := time.Parse(layout, stamp); err == nil {
				return t.UTC()
			}
		}
		return time.Time{}
	case d.snort3():
		// What it is asked for as "seconds" has a year and a zone.
		if n, err := strconv.ParseInt(r.text("seconds"), 10, 64); err == nil && n > 0 && n < 1<<33 {
			return time.Unix(n, 0).UTC()
		}
		return snortTime(stamp, at, zone, "2006-01-02 15:04:05", "06/01/02-15:04:05", "01/02/06-15:04:05")
	case d.name == decoderSnort:
		return snortTime(stamp, at, zone, "01/02/06-15:04:05")
	}
	return time.Time{}
}

// snortTime reads Snort's timestamps: without a year, or in one of layouts. Of
// two that fit, as 11/10/12, it takes the one that is nearer.
func snortTime(stamp string, at time.Time, zone *time.Location, layouts ...string) time.Time {
	var best time.Time
	for _, layout := range layouts {
		t, err := time.ParseInLocation(layout, stamp, zone)
		if err == nil && (best.IsZero() || !at.IsZero() && t.Sub(at).Abs() < best.Sub(at).Abs()) {
			best = t
		}
	}
	if !best.IsZero() || at.IsZero() {
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
