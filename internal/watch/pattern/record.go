package pattern

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// record is a line with fields. Its values are as they were written: not
// cleaned, and as long as they like.
type record struct {
	values map[string]string // of CSV, and what is made of other fields
	json   string            // an object, known to be valid; "": none
}

// get returns a field; not there: null counts as not there.
func (r *record) get(of ref) (string, bool) {
	if v, ok := r.values[of.name]; ok {
		return v, true
	}
	for _, path := range of.paths {
		if v := gjson.Get(r.json, path); v.Exists() && v.Type != gjson.Null {
			return v.String(), true
		}
	}
	return "", false
}

// text returns a field by its name, or "".
func (r *record) text(name string) string {
	of := ref{name: name}
	if r.json != "" {
		of.paths, _ = jsonPaths(name) // our own names are valid
	}
	v, _ := r.get(of)
	return v
}

// jsonPart returns the object of a line. A line that went through syslog has a
// header before it, which ends with the program's name; what other programs say
// is never taken for an alert, whatever a stranger made them say.
func (d *decoder) jsonPart(text string) (string, bool) {
	part := strings.TrimSpace(text)
	if !strings.HasPrefix(part, "{") {
		program, rest := parse.Split(part)
		if program == "" {
			if header, behind, ok := strings.Cut(rest, ": "); ok && !strings.Contains(header, "@cee") && !strings.HasPrefix(header, "{") {
				program, rest = header[strings.LastIndexByte(header, ' ')+1:], behind
				program, _, _ = strings.Cut(program, "[")
			}
		}
		if d.alerts() && program != "" && program != strings.ToLower(d.program) {
			return "", false
		}
		rest = strings.TrimPrefix(rest, "@cee:") // where JSON begins, by CEE and rsyslog's mmjsonparse
		if part = strings.TrimLeft(rest, " "); !strings.HasPrefix(part, "{") {
			return "", false
		}
	}
	return part, gjson.Valid(part)
}

// looksLikeSnort tells an alert from any other line with as many commas.
func (r *record) looksLikeSnort() bool {
	stamp, ok := r.values["timestamp"]
	if ok && (stamp == "" || stamp[0] < '0' || stamp[0] > '9') {
		return false
	}
	id, ok := r.values["sig_id"]
	return !ok || id != "" && strings.Trim(id, "0123456789") == ""
}

// splitSnort3 adds the fields that src_ap, dst_ap and rule are made of, where
// they are not there themselves.
func (r *record) splitSnort3() {
	add := func(name, value string) {
		if value != "" && r.text(name) == "" {
			if r.values == nil {
				r.values = map[string]string{}
			}
			r.values[name] = value
		}
	}
	for _, end := range []string{"src", "dst"} {
		// An IPv6 address has no brackets: the port is after the last colon.
		ap := r.text(end + "_ap")
		if i := strings.LastIndexByte(ap, ':'); i >= 0 {
			add(end+"_addr", ap[:i])
			add(end+"_port", ap[i+1:])
		}
	}
	if rule := strings.Split(r.text("rule"), ":"); len(rule) == 3 {
		add("gid", rule[0])
		add("sid", rule[1])
		add("rev", rule[2])
	}
}

const maxName = 200

// validName reports whether s may name a field: names and numbers joined by
// points. What else gjson can do (modifiers, queries, wildcards) is not needed
// to find a field, and costs what a stranger's line decides.
func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	parts := strings.Split(s, ".")
	return !slices.Contains(parts, "") && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-@/:.", r)
	}) < 0
}

// jsonPaths returns the paths at which gjson looks for a field: what the points
// say, or else one key with points in it, as some programs write.
//
// https://github.com/tidwall/gjson/blob/v1.20.0/SYNTAX.md
func jsonPaths(name string) ([]string, error) {
	if !validName(name) {
		return nil, fmt.Errorf("%q is no path: names and numbers joined by points are taken, of letters, digits and @ _ : / -", name)
	}
	path := name
	if strings.ContainsAny(name, "@:/") {
		path = strings.NewReplacer("@", `\@`, ":", `\:`, "/", `\/`).Replace(name)
	}
	if !strings.Contains(path, ".") {
		return []string{path}, nil
	}
	return []string{path, strings.ReplaceAll(path, ".", `\.`)}, nil
}
