package policy

import (
	"fmt"
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
)

// OnHost is the verdict on an event of a host.
type OnHost struct {
	Host string
	event.Verdict
}

// Together returns the verdict of a message that tells events of several hosts, of
// which there is at least one: the worst, with the reasons of all of them, each once,
// and on which hosts where it is not on all. That somebody is new on each is one
// reason with their number.
func Together(all []OnHost) event.Verdict {
	type shared struct {
		text, key string
		hosts     []string
	}
	worst, hosts := all[0].Verdict, map[string]bool{}
	for _, v := range all {
		hosts[v.Host] = true
		if v.Worse(worst) {
			worst = v.Verdict
		}
	}
	var reasons []*shared
	byKey := map[string]*shared{}
	add := func(v event.Verdict, host string) {
		for i, text := range v.Reasons {
			key := ""
			if i < len(v.Keys) {
				key = v.Keys[i]
			}
			id := key
			if id == "" {
				id = "\x00" + text
			}
			r := byKey[id]
			if r == nil {
				r = &shared{text: text, key: key}
				byKey[id] = r
				reasons = append(reasons, r)
			}
			if host != "" && !slices.Contains(r.hosts, host) {
				r.hosts = append(r.hosts, host)
			}
		}
	}
	add(worst, "") // its reasons are the strongest
	for _, v := range all {
		add(v.Verdict, v.Host)
	}
	v := worst
	v.Reasons, v.Keys = nil, nil
	for _, r := range reasons {
		switch n := len(r.hosts); {
		case r.key == string(NewUserOnHost) && n > 1:
			r.text = fmt.Sprintf("new on %d hosts", n)
		case n == len(hosts):
		case n == 1:
			r.text += " (" + r.hosts[0] + ")"
		default:
			r.text += fmt.Sprintf(" (%d of %d hosts)", n, len(hosts))
		}
		v.Reasons, v.Keys = append(v.Reasons, r.text), append(v.Keys, r.key)
	}
	return v
}
