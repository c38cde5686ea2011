package respond

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/state"
)

// patience bounds the reading of one thing that a stranger may have made.
const patience = 300 * time.Millisecond

// evidenceTime bounds all of it: somebody waits to end the session.
const evidenceTime = 900 * time.Millisecond

// Evidence is what was found of a login, before anything was done about it. It is
// read, and changes nothing.
type Evidence struct {
	V       int       `json:"v"`
	Subject Subject   `json:"subject"`
	Taken   time.Time `json:"taken"`
	Took    float64   `json:"took_seconds"`
	By      string    `json:"by"`
	Host    string    `json:"host"`
	Kernel  string    `json:"kernel,omitempty"`
	Boot    string    `json:"boot,omitempty"`

	Members   Members   `json:"members"`
	Listening []Socket  `json:"listening,omitempty"`
	Sessions  []Session `json:"sessions,omitempty"` // of the user, or from the address
	Keys      []KeyLine `json:"keys,omitempty"`
	Changes   []Change  `json:"changes,omitempty"` // since the login
	Logins    any       `json:"logins,omitempty"`  // the newest of the user and of the address, as they are remembered
	Missing   []string  `json:"missing,omitempty"` // what could not be read, and why

	Folder string `json:"folder,omitempty"` // where it was written
	Sum    string `json:"sha256,omitempty"` // of the list of sums in it
}

// Take looks at all of it: what changes by itself first, sums of programs last.
func (r *Responder) Take(logins any) *Evidence {
	h, begun := r.Host, time.Now()
	left := func() time.Duration { return max(0, evidenceTime-time.Since(begun)) }
	ev := &Evidence{V: 1, Subject: r.Subject, Taken: h.Now().UTC(), By: r.By, Boot: h.Boot, Logins: logins}
	ev.Host, _ = os.Hostname()
	ev.Kernel = strings.TrimSpace(h.text("/proc/sys/kernel/osrelease", 128))
	miss := func(format string, a ...any) { ev.Missing = append(ev.Missing, fmt.Sprintf(format, a...)) }
	if h.UID != 0 {
		miss("what only root may read: programs, files and environment of others' processes")
	}
	m, err := h.members(r.Subject, r.Self)
	if err != nil {
		miss("processes: %v", err)
	}
	lists := []*[]Process{&m.Own, &m.Stray, &m.Shared, &m.Elsewhere}
	all := slices.Concat(m.Own, m.Stray, m.Shared, m.Elsewhere)
	if len(all) > maxProcesses {
		miss("details of %d processes: more than %d", len(all)-maxProcesses, maxProcesses)
	}
	read := h.details(all[:min(len(all), maxProcesses)], left())
	ev.Listening = h.wire(read)
	for _, s := range h.sessions() {
		if s.UID == r.Subject.UID && s.UID >= 0 || s.Remote.IsValid() && s.Remote == r.Subject.IP {
			ev.Sessions = append(ev.Sessions, s)
		}
	}
	if r.Subject.Key != "" {
		ev.Keys = h.keyLines(r.Subject.Key)
	}
	if c, ok := within(left(), func() []Change { return h.changes(r.Subject.Time.Add(-startSlack)) }); ok {
		ev.Changes = c
	} else {
		miss("changes since the login: the file system did not answer in time")
	}
	h.hashes(read, left())
	byPID := map[int]Process{}
	for _, p := range read {
		byPID[p.PID] = p
	}
	for _, list := range lists {
		for i, p := range *list {
			if d, ok := byPID[p.PID]; ok {
				(*list)[i] = d
			}
		}
	}
	ev.Members = m
	ev.Took = time.Since(begun).Seconds()
	return ev
}

// details reads processes side by side: one that makes its reader wait holds up no
// other.
func (h Host) details(all []Process, limit time.Duration) []Process {
	type answer struct {
		i int
		p Process
	}
	answers := make(chan answer, len(all))
	for i, p := range all {
		go func() { answers <- answer{i, h.detail(p)} }()
	}
	out, missing := slices.Clone(all), map[int]bool{}
	for i := range all {
		missing[i] = true
	}
	for end := time.After(limit); len(missing) > 0; {
		select {
		case a := <-answers:
			out[a.i] = a.p
			delete(missing, a.i)
		case <-end:
			for i := range missing {
				out[i].Unread = append(out[i].Unread, "all of it: its memory or its files did not answer in time")
			}
			return out
		}
	}
	return out
}

// hashes adds the sums of the programs, each read once.
func (h Host) hashes(all []Process, limit time.Duration) {
	type program struct {
		exe     string
		deleted bool
	}
	type sum struct {
		text string
		err  error
	}
	known := map[program]sum{}
	end := time.Now().Add(limit)
	for i := range all {
		p := &all[i]
		if p.Exe == "" {
			continue
		}
		id := program{p.Exe, p.Deleted}
		s, ok := known[id]
		if !ok || p.Deleted { // two that were deleted may have had one name
			answered, one := false, *p // which may still be read when nobody waits any more
			s, answered = within(max(0, time.Until(end)), func() (s sum) { s.text, s.err = h.hash(one); return s })
			if !answered {
				s.err = fmt.Errorf("no time was left for it")
			}
			known[id] = s
		}
		p.SHA256 = s.text
		if s.err != nil {
			p.Unread = append(p.Unread, "sum of the program: "+s.err.Error())
		}
	}
}

// The files of evidence, in its Folder.
const (
	EvidenceFile = "evidence.json"
	sumsFile     = "SHA256SUMS"
)

// Write keeps evidence in a folder of its own, for its owner alone, with a list of
// sums that sha256sum -c takes.
func (r *Responder) Write(ev *Evidence) error {
	st, err := OpenStore(r.Folder)
	if err != nil {
		return err
	}
	defer st.Close()
	parent := filepath.Join(r.Folder, ev.Subject.ID)
	name := "evidence-" + ev.Taken.Format("20060102T150405.000Z")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(parent, name), 0o700); err != nil {
		return err
	}
	ev.Folder, ev.Sum = filepath.Join(parent, name), ""
	b, err := json.MarshalIndent(ev, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	sum := sha256.Sum256(b)
	list := hex.EncodeToString(sum[:]) + "  " + EvidenceFile + "\n"
	for _, f := range []struct {
		name string
		data []byte
	}{{EvidenceFile, b}, {sumsFile, []byte(list)}} {
		if err := writeNew(filepath.Join(ev.Folder, f.name), f.data); err != nil {
			return err
		}
	}
	whole := sha256.Sum256([]byte(list))
	ev.Sum = hex.EncodeToString(whole[:])
	return cmp.Or(state.SyncFolder(ev.Folder), state.SyncFolder(parent))
}

// writeNew writes a file that must not be there, for good.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return cmp.Or(err, f.Close())
}
