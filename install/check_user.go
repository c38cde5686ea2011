package install

import (
	"context"
	"path"
)

const againUser = "sshnotify install"

// CheckUser looks at all that PlanUser puts in for an account. It changes
// nothing and reads no settings.
func CheckUser(ctx context.Context, h Host, o UserOptions) []CheckResult {
	c := &checks{ctx: ctx, h: h}
	acc, err := h.account(o)
	if err != nil {
		c.add("account", Fail, "", "%v", err)
		return c.out
	}
	f, err := h.stat(acc.Binary)
	switch {
	case err != nil || !f.exists || f.dir:
		c.add("program", Fail, againUser, "%s: not there", acc.Binary)
	case f.mode&0o111 == 0:
		c.add("program", Fail, "chmod +x "+quoteShell(f.path), "%s: not executable", f.path)
	default:
		c.add("program", OK, "", "%s", acc.Binary)
	}
	c.blocks(acc)
	for _, dir := range []string{acc.Spool, acc.State} {
		c.ownFolder(dir)
	}
	c.resend(acc)
	for _, o := range h.oldHooks(append(acc.startPlaces(), hostStartFiles...)) {
		c.add("other hooks", Warn, "", "%s: line %d %s: a login is told twice", o.File, o.Row, o.What)
	}
	return c.out
}

// blocks checks that each shell meets the hook.
func (c *checks) blocks(a userPlace) {
	places, err := c.h.startFiles(a)
	if err != nil {
		c.add("shell", Fail, "sshnotify install --shell bash", "%v", err)
		return
	}
	words := hookCommand(a.Binary, a.Config, a.Spool)
	for _, s := range places {
		name := "hook " + s.shell
		f, err := c.h.read(s.path)
		if err != nil {
			c.add(name, Fail, againUser, "%v", err)
			continue
		}
		found, err := findBlocks(f.data)
		want := shBlock(words)
		if s.shell == Fish {
			want = fishBlock(words)
		}
		switch {
		case err != nil:
			c.add(name, Fail, "take both marker lines out of "+quoteShell(f.path)+", then: "+againUser, "%s: %v", f.path, err)
		case len(found) == 0:
			c.add(name, Fail, againUser, "%s: no block", f.path)
		case len(found) > 1:
			c.add(name, Warn, againUser, "%s: %d blocks", f.path, len(found))
		case mayReturn(f.data[:found[0].from]):
			c.add(name, Fail, againUser, "%s: what stands above the block may keep it from being read", f.path)
		case string(f.data[found[0].from:found[0].to]) != want:
			c.add(name, Warn, againUser, "%s: the block is an older one, or was changed", f.path)
		default:
			c.add(name, OK, "", "%s", f.path)
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
		c.add("folders", Fail, againUser, "%s: not there", dir)
	case f.uid != c.h.UID:
		c.add("folders", Fail, "", "%s belongs to %s", f.path, c.h.userName(f.uid))
	case f.mode != 0o700:
		c.add("folders", Fail, "chmod 0700 "+quoteShell(f.path), "%s has mode %s, and must have 0700", f.path, octal(f.mode))
	default:
		c.add("folders", OK, "", "%s", f.path)
	}
}

// resend checks that something sends what an ended worker left.
func (c *checks) resend(a userPlace) {
	if !a.Resend {
		return
	}
	if c.h.exists(path.Join(a.ConfigHome, "systemd/user/timers.target.wants", timerName+".timer")) {
		c.add("resend", OK, "", "a timer of the account's own systemd")
		return
	}
	p := &planner{ctx: c.ctx, h: c.h}
	text, ok, err := p.crontab()
	if err != nil || !ok {
		c.add("resend", Warn, "loginctl enable-linger, or have cron installed, then: "+againUser, "no timer and no cron: what an ended worker left waits for the next login")
		return
	}
	if found, err := findBlocks(text); err != nil || len(found) == 0 {
		c.add("resend", Warn, againUser, "no line in the crontab: what an ended worker left waits for the next login")
		return
	}
	c.add("resend", OK, "", "a line in the crontab")
}
