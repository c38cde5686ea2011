package install

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// UserOptions say what to put in for one account. Paths are absolute.
type UserOptions struct {
	// Home and LoginShell are taken from /etc/passwd where they are "".
	Home, LoginShell string
	// Shells to set up: bash, zsh, fish. None: that of LoginShell.
	Shells []string
	// ConfigHome and ZDotDir are $XDG_CONFIG_HOME and $ZDOTDIR where set.
	ConfigHome, ZDotDir string
	// Binary is the program that the hook runs. With BinaryFrom, a path on this
	// machine, it is copied there.
	Binary, BinaryFrom string
	// Config and Spool are handed to the hook; "" leaves the option out.
	Config, Spool string
	// State is the folder for the record of what was put in.
	State string
	// Files are put in with mode 0600.
	Files []FileText
	// Resend lets a timer, or cron, send what an ended worker left.
	Resend bool
}

// account is an account as the plan needs it.
type account struct {
	UserOptions
	name string
}

// account fills in what the options leave open.
func (h Host) account(o UserOptions) (account, error) {
	u, known := h.UserByID(h.UID)
	p := account{o, u.Name}
	if p.Home == "" {
		p.Home = u.Home
	}
	if p.LoginShell == "" {
		p.LoginShell = u.Shell
	}
	if p.Home == "" && !known {
		return p, fmt.Errorf("uid %d is not in /etc/passwd", h.UID)
	}
	home, err := h.stat(p.Home)
	if err != nil {
		return p, err
	}
	if !home.exists || !home.dir {
		return p, fmt.Errorf("home folder %s: not there", p.Home)
	}
	if home.uid != h.UID {
		return p, fmt.Errorf("home folder %s belongs to %s, not to %s", p.Home, h.userName(home.uid), h.userName(h.UID))
	}
	if p.ConfigHome == "" {
		p.ConfigHome = path.Join(p.Home, ".config")
	}
	return p, nil
}

// recordName is the file, in the state folder or beside the host's settings,
// that tells uninstall what was put in.
const recordName = "installed.json"

// PlanUser plans the set-up of one account. ErrDamaged, ErrBinary and
// *ShellError can be told apart with errors.Is and errors.As.
func PlanUser(ctx context.Context, h Host, o UserOptions) (Plan, error) {
	acc, err := h.account(o)
	if err != nil {
		return Plan{}, err
	}
	if err := acc.valid(h); err != nil {
		return Plan{}, err
	}
	p, err := newPlanner(ctx, h, Findings{}, path.Join(acc.State, recordName))
	if err != nil {
		return Plan{}, err
	}
	plan, err := p.walk(acc.artifacts())
	if err != nil {
		return Plan{}, err
	}
	for _, old := range h.oldHooks(acc.startPlaces()) {
		plan.Notes = append(plan.Notes, fmt.Sprintf("%s: line %d %s: a login would be told twice", old.File, old.Row, old.What))
	}
	if h.sshd(ctx).ExposeAuthInfo == "no" {
		plan.Notes = append(plan.Notes, noKeys+"; to have them, "+askForKeys)
	}
	plan.Notes = append(plan.Notes, "not seen from here: logins that start no shell (ssh -N, sftp through internal-sftp), "+
		"and what the account's own user switches off; sshnotify install --system sees them all")
	return plan, nil
}

// PlanUserFiles plans to put settings files beside those of an account, and nothing
// else that PlanUser does. Of the options only Home, State and Files are looked at.
func PlanUserFiles(ctx context.Context, h Host, o UserOptions) (Plan, error) {
	acc, p, err := h.planAccount(ctx, o)
	if err != nil {
		return Plan{}, err
	}
	return p.walk(acc.settings())
}

// planAccount begins a plan for an account of which only its folders matter.
func (h Host) planAccount(ctx context.Context, o UserOptions) (account, *planner, error) {
	acc, err := h.account(o)
	if err != nil {
		return acc, nil, err
	}
	if err := checkPath("state folder", acc.State); err != nil {
		return acc, nil, err
	}
	p, err := newPlanner(ctx, h, Findings{}, path.Join(acc.State, recordName))
	return acc, p, err
}

// PlanUserUninstall plans to take out of one account what PlanUser put in. The
// options are those of PlanUser; only Home, ConfigHome, ZDotDir, State, Spool
// and Resend are looked at.
func PlanUserUninstall(ctx context.Context, h Host, o UserOptions, undo UndoOptions) (Plan, error) {
	acc, p, err := h.planAccount(ctx, o)
	if err != nil {
		return Plan{}, err
	}
	u := &uninstaller{p, undo, map[string]bool{}}
	if err := u.mindQueue(acc.Spool); err != nil {
		return Plan{}, err
	}
	return u.walk(acc.artifacts(), func() error {
		for _, d := range []string{acc.Spool, acc.State} {
			if err := u.purge(d, "queue, history and cache"); err != nil {
				return err
			}
		}
		return nil
	}, "sshnotify uninstall --purge")
}

// AccountChecks returns the checks of all that PlanUser puts in for an account.
// They read no settings.
func AccountChecks(h Host, o UserOptions) []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsAccount, Run: func(ctx context.Context, r *doctor.Report) {
		acc, err := h.account(o)
		if err != nil {
			r.Fail("account", againUser, "%v", err)
			return
		}
		c := &checker{ctx: ctx, h: h, Report: r}
		c.checkAll(acc.artifacts())
		if h.sshd(ctx).ExposeAuthInfo == "no" {
			c.Warn("keys", askForKeys, "%s", noKeys)
		}
		for _, o := range h.oldHooks(append(acc.startPlaces(), hostStartFiles...)) {
			c.Warn("other hooks", "", "%s: line %d %s: a login is told twice", o.File, o.Row, o.What)
		}
	}}}
}

// What an account's messages lack, and who can change it (sshd_config(5),
// ExposeAuthInfo): PAM is told by itself, a shell is not.
const (
	noKeys     = "messages can't say which key logged in, nor whether it is new: sshd does not tell the shell"
	askForKeys = "ask the administrator for this line in /etc/ssh/sshd_config: ExposeAuthInfo yes"
)

// againUser is the command that puts an account's set-up right.
const againUser = "sshnotify install"

// artifacts is the table of all that is put into an account, in the order in
// which that is done.
func (a account) artifacts() []artifact {
	settings := a.settings()
	own := ownFolders{a.State}
	if a.Spool != "" {
		own = ownFolders{a.State, a.Spool}
	}
	table := []artifact{settings[0], own, program{path: a.Binary, from: a.BinaryFrom}, settings[1], shellHooks{a}}
	if a.Resend {
		table = append(table, resend{a})
	}
	return table
}

// settings are the folder of the record, and the settings files.
func (a account) settings() []artifact {
	return []artifact{
		recordFolder{folder{a.State, 0o700, Owner{}, "state"}},
		settingsFiles{files: a.Files, dirMode: 0o700, mode: 0o600},
	}
}

// ownFolders are the state folder and the spool of an account.
type ownFolders []string

func (a ownFolders) plan(p *planner) error {
	for _, dir := range a[1:] {
		if err := p.folder(folder{dir, 0o700, Owner{}, "the queue of events"}, true); err != nil {
			return err
		}
	}
	return nil
}

func (a ownFolders) undo(*uninstaller) error { return nil }

func (a ownFolders) check(c *checker) {
	for _, dir := range a {
		f, err := c.h.stat(dir)
		switch {
		case err != nil || !f.exists || !f.dir:
			c.Fail("folders", againUser, "%s: not there", dir)
		case f.uid != c.h.UID:
			c.Fail("folders", "ls -ld "+quoteShell(f.path), "%s belongs to %s", f.path, c.h.userName(f.uid))
		case f.mode != 0o700:
			c.Fail("folders", "chmod 0700 "+quoteShell(f.path), "%s has mode %s, and must have 0700", f.path, octal(f.mode))
		default:
			c.OK("folders", "%s", f.path)
		}
	}
}

func (a account) valid(h Host) error {
	paths := []struct{ what, path string }{{"program", a.Binary}, {"state folder", a.State}}
	if a.Config != "" {
		paths = append(paths, struct{ what, path string }{"settings file", a.Config})
	}
	if a.Spool != "" {
		paths = append(paths, struct{ what, path string }{"spool", a.Spool})
	}
	for _, p := range paths {
		if err := checkPath(p.what, p.path); err != nil {
			return err
		}
	}
	for _, s := range a.Shells {
		if !slices.Contains([]string{Bash, Zsh, Fish}, s) {
			return &ShellError{Shell: s, Line: strings.TrimSuffix(shBlock(h.hookCommand(a.Binary, a.Config, a.Spool)), "\n")}
		}
	}
	return nil
}
