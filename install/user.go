package install

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// FileText is a settings file or a secret to put in.
type FileText struct {
	Path    string
	Content []byte
	Secret  bool // its content is shown in no diff
	// Replace an existing file that has another content. Without it such a
	// file stays as it is, and a note says so.
	Replace bool
}

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

// userPlace is an account as the plan needs it.
type userPlace struct {
	UserOptions
	name string
}

// account fills in what the options leave open.
func (h Host) account(o UserOptions) (userPlace, error) {
	u, known := h.UserByID(h.UID)
	p := userPlace{o, u.Name}
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
	if err := acc.check(); err != nil {
		return Plan{}, err
	}
	p, err := newPlanner(ctx, h, path.Join(acc.State, recordName))
	if err != nil {
		return Plan{}, err
	}
	if err := p.folder(acc.State, 0o700, Owner{}, "state", true); err != nil {
		return Plan{}, err
	}
	p.recordHere()
	if acc.Spool != "" {
		if err := p.folder(acc.Spool, 0o700, Owner{}, "the queue of events", true); err != nil {
			return Plan{}, err
		}
	}
	if err := p.binary(acc.Binary, acc.BinaryFrom, Owner{}); err != nil {
		return Plan{}, err
	}
	for _, f := range acc.Files {
		if err := p.settings(f, 0o700, 0o600, Owner{}); err != nil {
			return Plan{}, err
		}
	}
	places, err := h.startFiles(acc)
	if err != nil {
		return Plan{}, err
	}
	if err := p.blocks(places, hookCommand(acc.Binary, acc.Config, acc.Spool)); err != nil {
		return Plan{}, err
	}
	if acc.Resend {
		if err := p.resend(acc); err != nil {
			return Plan{}, err
		}
	}
	for _, old := range h.oldHooks(acc.startPlaces()) {
		p.note("%s: line %d %s: a login would be told twice", old.File, old.Row, old.What)
	}
	p.note("not seen from here: logins that start no shell (ssh -N, sftp through internal-sftp), " +
		"and what the account's own user switches off; sshnotify install --system sees them all")
	return p.finish()
}

func (a userPlace) check() error {
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
			return &ShellError{Shell: s, Line: strings.TrimSuffix(shBlock(hookCommand(a.Binary, a.Config, a.Spool)), "\n")}
		}
	}
	return nil
}

// binary copies the program to where the hook finds it.
func (p *planner) binary(to, from string, o Owner) error {
	if from == "" {
		return nil
	}
	// The program that runs is on this machine, also when an image is set up.
	f, err := Host{Root: "/"}.read(from)
	if err != nil {
		return err
	}
	if !f.exists {
		return fmt.Errorf("%s: %w", from, fs.ErrNotExist)
	}
	_, err = p.file(whole{path: to, content: f.data, mode: 0o755, owner: o, why: "the program", hidden: true, replace: true})
	return err
}

// settings puts in a settings file, and its folder.
func (p *planner) settings(f FileText, dirMode, mode fs.FileMode, o Owner) error {
	if err := checkPath("settings file", f.Path); err != nil {
		return err
	}
	dir := path.Dir(f.Path)
	d, err := p.h.stat(dir)
	if err != nil {
		return err
	}
	// A folder that is there may have been opened to others for a reason.
	if !d.exists {
		if err := p.folder(dir, dirMode, o, "settings", true); err != nil {
			return err
		}
	}
	_, err = p.file(whole{
		path: f.Path, content: f.Content, mode: mode, owner: o, why: "settings",
		hidden: f.Secret, purge: true, replace: f.Replace,
	})
	return err
}

// blocks puts the hook into start-up files.
func (p *planner) blocks(places []startFile, words []string) error {
	seen := map[string]bool{}
	for _, s := range places {
		f, err := p.h.read(s.path)
		if err != nil {
			return err
		}
		// Two dotfiles may be links to one.
		if seen[f.path] {
			continue
		}
		seen[f.path] = true
		block := shBlock(words)
		if s.shell == Fish {
			block = fishBlock(words)
		}
		content, err := setBlock(f.data, block)
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if old, _ := findBlocks(f.data); len(old) > 0 && !bytes.Equal(content, f.data) {
			p.note("%s: the block that was there is brought up to date", f.path)
		}
		if err := p.edit(f, content, 0o644, s.why); err != nil {
			return err
		}
	}
	return nil
}
