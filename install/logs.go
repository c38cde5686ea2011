package install

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// watchedLogs are those that the watcher's service reads. Their owners say who may:
// nothing is changed about them.
type watchedLogs struct{ paths []string }

func (a watchedLogs) plan(p *planner) error {
	for _, name := range a.paths {
		if problem, hint := p.h.LogProblem(name); problem != "" {
			p.note("%s: %s", problem, hint)
		}
	}
	return nil
}

func (a watchedLogs) undo(*uninstaller) error { return nil }

// check leaves it to the watcher's own, which knows what became of reading.
func (a watchedLogs) check(*checker) {}

// What a user needs of a file to read it, and of a folder to pass through, as bits
// of its mode.
const (
	mayRead fs.FileMode = 4
	mayPass fs.FileMode = 1
)

// LogProblem returns why the watcher's service may not read a log, by owners and
// modes, and what to do about it. Both are empty where it may, and where there is no
// such log. An access list is believed to let it.
func (h Host) LogProblem(name string) (problem, hint string) {
	f, err := h.stat(name)
	if err != nil || !f.exists || f.dir {
		return "", ""
	}
	uid, groups := h.watcherIDs()
	may := func(f file, want fs.FileMode) bool {
		switch {
		case f.uid == uid:
			want <<= 6
		case slices.Contains(groups, f.gid):
			want <<= 3
		}
		return f.mode&want != 0 || hasAccessList(h.real(f.path))
	}
	closed, mode, open := f, "g+r", may(f, mayRead)
	for dir := path.Dir(f.path); dir != "/"; dir = path.Dir(dir) {
		if d, err := h.stat(dir); err == nil && !may(d, mayPass) {
			closed, mode, open = d, "g+rx", false
		}
	}
	if open {
		return "", ""
	}
	problem = fmt.Sprintf("%s: %s may not read it (%s is %s %s:%s), so that what it says is not watched",
		name, WatchUser, closed.path, octal(closed.mode), h.userName(closed.uid), h.groupName(closed.gid))
	if closed.gid != 0 && closed.mode&((mayRead|mayPass)<<3) != 0 { // it is there for a group, which must keep it
		return problem, fmt.Sprintf("sudo gpasswd -a %s %s && sudo systemctl restart %s", WatchUser, h.groupName(closed.gid), watchUnitName)
	}
	group := WatchUser
	if _, ok := h.groupByName(logGroups[0]); ok {
		group = logGroups[0]
	}
	if rule, line := h.rotation(f.path); rule != "" && !strings.Contains(line, " "+group) {
		problem += fmt.Sprintf("; %s closes each new one (%s): write create 0640 root %s there", rule, line, group)
	}
	return problem, fmt.Sprintf("sudo chgrp %s %s && sudo chmod %s %[2]s", group, closed.path, mode)
}

// watcherIDs returns the numbers of the watcher's user and of the groups that it is
// in, or will be once it is put in.
func (h Host) watcherIDs() (uid int, groups []int) {
	uid = -1
	if u, ok := h.UserByName(WatchUser); ok {
		uid, groups = u.UID, []int{u.GID}
	}
	for _, g := range h.groups() {
		if slices.Contains(logGroups[:], g.Name) || slices.Contains(g.Members, WatchUser) {
			groups = append(groups, g.GID)
		}
	}
	return uid, groups
}

// rotation returns the file of logrotate's that names a log, and what it says there
// of the mode of a new one (logrotate(8)); empty where it says nothing, and a new one
// is as the last was.
func (h Host) rotation(log string) (rule, line string) {
	const dir = "/etc/logrotate.d"
	entries, _ := os.ReadDir(h.real(dir))
	for _, e := range entries {
		rule = path.Join(dir, e.Name())
		_, after, ok := strings.Cut(h.text(rule), log)
		if !ok || strings.IndexAny(after, pathLetters) == 0 { // another log's name goes on
			continue
		}
		block, _, _ := strings.Cut(after, "}")
		if line = strings.Join(strings.Fields(createRule().FindString(block)), " "); line != "" && line != "create" {
			return rule, line
		}
	}
	return "", ""
}

var createRule = lazy(`(?m)^[ \t]*(?:no)?create\b.*$`)
