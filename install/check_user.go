package install

import (
	"context"
	"path"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

const againUser = "sshnotify install"

// AccountChecks returns the checks of all that PlanUser puts in for an account.
// They read no settings.
func AccountChecks(h Host, o UserOptions) []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsAccount, Run: func(ctx context.Context, r *doctor.Report) {
		c := &checks{ctx: ctx, h: h, Report: r}
		acc, err := h.account(o)
		if err != nil {
			c.Fail("account", againUser, "%v", err)
			return
		}
		f, err := h.stat(acc.Binary)
		switch {
		case err != nil || !f.exists || f.dir:
			c.Fail("program", againUser, "%s: not there", acc.Binary)
		case f.mode&0o111 == 0:
			c.Fail("program", "chmod +x "+quoteShell(f.path), "%s: not executable", f.path)
		default:
			c.OK("program", "%s", acc.Binary)
		}
		c.blocks(acc)
		for _, dir := range []string{acc.Spool, acc.State} {
			c.ownFolder(dir)
		}
		c.resend(acc)
		for _, o := range h.oldHooks(append(acc.startPlaces(), hostStartFiles...)) {
			c.Warn("other hooks", "", "%s: line %d %s: a login is told twice", o.File, o.Row, o.What)
		}
	}}}
}

// blocks checks that each shell meets the hook.
func (c *checks) blocks(a userPlace) {
	places, err := c.h.startFiles(a)
	if err != nil {
		c.Fail("shell", "sshnotify install --shell bash", "%v", err)
		return
	}
	words := hookCommand(a.Binary, a.Config, a.Spool)
	for _, s := range places {
		name := "hook " + s.shell
		f, err := c.h.read(s.path)
		if err != nil {
			c.Fail(name, againUser, "%v", err)
			continue
		}
		found, err := findBlocks(f.data)
		want := shBlock(words)
		if s.shell == Fish {
			want = fishBlock(words)
		}
		switch {
		case err != nil:
			c.Fail(name, "take both marker lines out of "+quoteShell(f.path)+", then: "+againUser, "%s: %v", f.path, err)
		case len(found) == 0:
			c.Fail(name, againUser, "%s: no block", f.path)
		case len(found) > 1:
			c.Warn(name, againUser, "%s: %d blocks", f.path, len(found))
		case mayReturn(f.data[:found[0].from]):
			c.Fail(name, againUser, "%s: what stands above the block may keep it from being read", f.path)
		case string(f.data[found[0].from:found[0].to]) != want:
			c.Warn(name, againUser, "%s: the block is an older one, or was changed", f.path)
		default:
			c.OK(name, "%s", f.path)
		}
	}
}

func (c *checks) ownFolder(dir string) {
	if dir == "" {
		return
	}
	f, err := c.h.stat(dir)
	switch {
	case err != nil || !f.exists || !f.dir:
		c.Fail("folders", againUser, "%s: not there", dir)
	case f.uid != c.h.UID:
		c.Fail("folders", "", "%s belongs to %s", f.path, c.h.userName(f.uid))
	case f.mode != 0o700:
		c.Fail("folders", "chmod 0700 "+quoteShell(f.path), "%s has mode %s, and must have 0700", f.path, octal(f.mode))
	default:
		c.OK("folders", "%s", f.path)
	}
}

// resend checks that something sends what an ended worker left.
func (c *checks) resend(a userPlace) {
	if !a.Resend {
		return
	}
	if c.h.exists(path.Join(a.ConfigHome, "systemd/user/timers.target.wants", timerName+".timer")) {
		c.OK("resend", "a timer of the account's own systemd")
		return
	}
	p := &planner{ctx: c.ctx, h: c.h}
	text, ok, err := p.crontab()
	if err != nil || !ok {
		c.Warn("resend", "loginctl enable-linger, or have cron installed, then: "+againUser, "no timer and no cron: what an ended worker left waits for the next login")
		return
	}
	if found, err := findBlocks(text); err != nil || len(found) == 0 {
		c.Warn("resend", againUser, "no line in the crontab: what an ended worker left waits for the next login")
		return
	}
	c.OK("resend", "a line in the crontab")
}
