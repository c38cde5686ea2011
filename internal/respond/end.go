package respond

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// How long it is looked whether all is gone, and how often.
const (
	endLimit = 5 * time.Second
	endPoll  = 50 * time.Millisecond
)

// end ends the session with all that it left running.
func (r *Responder) end(ctx context.Context, st *Store, s *Step) {
	h, of := r.Host, r.Subject
	s.Title = "End the session of " + of.User
	s.misses("what cron, at or sudo systemd-run start: the kernel does not know that it was this login")
	s.misses("the way in: lock the account, take out the key or block the address first")
	switch {
	case of.Kind == event.KindAttack || of.User == "":
		s.Misses = nil
		s.end(Cannot, "the event is of no session")
		return
	case of.UID < 0 && of.Session.PID == 0:
		s.end(Cannot, "%s is no account of /etc/passwd, and the event names no process: loginctl lists sessions", of.User)
		return
	}
	m, err := h.members(of, r.Self)
	if err != nil {
		s.end(Failed, "%v", err)
		return
	}
	for i, p := range m.Own {
		if d, ok := within(patience, func() Process { return h.detail(p) }); ok {
			m.Own[i] = d
		}
	}
	h.wire(m.Own)
	r.endCommands(s, m)
	for _, o := range m.Others {
		s.leave("another session of %s, %s (%s), from %s since %s: it is not touched", of.User, o.ID, o.State, address(o.Remote), o.Since.Format(time.RFC3339))
	}
	if len(m.Shared) > 0 {
		s.leave("%s of %s's own services, which the other session uses: systemctl stop user@%d.service ends them", pids(m.Shared), of.User, of.UID)
	}
	if len(m.Elsewhere) > 0 {
		s.leave("%s of root's in services of the host, begun since: look at each", pids(m.Elsewhere))
	}
	if len(m.Own)+len(m.Stray) == 0 {
		s.end(Already, "nothing of it runs any more")
		return
	}
	if why := m.mine(r.Self); why != "" && !r.EvenMine {
		s.end(Refused, "it is yours: %s", why)
		return
	}
	if st == nil {
		s.say("%d processes of the session, %d that it left elsewhere", len(m.Own), len(m.Stray))
		return
	}
	if _, err := r.begin(st, Kept{Action: End}); err != nil {
		s.end(Failed, "nothing is ended: %v", err)
		return
	}
	ended := len(m.Own) + len(m.Stray)
	if loginctl := h.program("loginctl"); loginctl != "" && m.ID != "" {
		if _, err := h.Run(ctx, "", loginctl, "kill-session", m.ID, "--signal=KILL"); err != nil {
			s.say("%v", err) // its processes are ended one by one
		}
	}
	if systemctl := h.program("systemctl"); systemctl != "" && m.Manager {
		unit := "user@" + strconv.Itoa(of.UID) + ".service"
		// Or it waits for whoever ignores TERM.
		h.Run(ctx, "", systemctl, "kill", "--signal=KILL", unit)
		if _, err := h.Run(ctx, "", systemctl, "stop", unit); err != nil {
			s.say("%v", err)
		}
	}
	var left []Process
	for deadline := time.Now().Add(endLimit); ; {
		if m, err = h.members(of, r.Self); err != nil {
			s.end(Failed, "%v", err)
			return
		}
		left = slices.Concat(m.Own, m.Stray)
		if len(left) == 0 || time.Now().After(deadline) || ctx.Err() != nil {
			break
		}
		for _, p := range left {
			if err := h.Kill(h, p); err != nil && time.Now().Add(endPoll).After(deadline) {
				s.say("%v", err)
			}
		}
		time.Sleep(endPoll)
	}
	if len(left) > 0 {
		s.leave("%s: still there after %v", pids(left), endLimit)
		s.end(Partly, "%d processes were to be ended", ended)
		return
	}
	if err := r.finish(st, End); err != nil {
		s.leave("%v", err)
	}
	s.done("%d processes ended; /proc has none of the session or of its login uid any more", ended)
}

func (r *Responder) endCommands(s *Step, m Members) {
	if m.ID != "" {
		s.Commands = append(s.Commands, command("loginctl", "kill-session", m.ID, "--signal=KILL"))
	}
	if m.Manager {
		unit := "user@" + strconv.Itoa(r.Subject.UID) + ".service"
		s.Commands = append(s.Commands, command("systemctl", "kill", "--signal=KILL", unit), command("systemctl", "stop", unit))
	}
	kill := []string{"kill", "-KILL"}
	for _, p := range m.Stray {
		kill = append(kill, strconv.Itoa(p.PID))
	}
	if m.ID == "" {
		for _, p := range m.Own {
			kill = append(kill, strconv.Itoa(p.PID))
		}
	}
	if len(kill) > 2 {
		s.Commands = append(s.Commands, command(kill...))
	}
	if m.ID != "" && len(s.Commands) > 0 {
		s.Commands = append(s.Commands, command("loginctl", "session-status", m.ID, "--no-pager")+"   # nothing is left")
	}
}
