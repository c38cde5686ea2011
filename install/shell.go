package install

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The shells whose start-up files are known.
const (
	Bash = "bash"
	Zsh  = "zsh"
	Fish = "fish"
)

// blockNote is the second line of each block.
const blockNote = "# Put here by sshnotify install; sshnotify uninstall takes it out.\n" +
	"# What stands between these marks is replaced by the next install.\n"

// hookCommand returns the words of the shells' hook.
func (h Host) hookCommand(binary, config, spool string) []string {
	words := Hook{Binary: binary, Small: h.smallHook(binary)}.program()
	if config != "" {
		words = append(words, "--config", config)
	}
	if spool != "" {
		words = append(words, "--spool", spool)
	}
	return words
}

// shBlock is the block for bash, zsh and POSIX shells.
//
// Outside an SSH session it is one comparison by the shell itself. The
// subshell keeps the shell's last argument ($_) and any trace of the hook away
// from what follows; exec makes it cost no more than the command alone. A
// program that is gone, or fails, ends in ":", which gives $_ back.
func shBlock(words []string) string {
	return blockBegin + "\n" + blockNote +
		"case ${SSH_CONNECTION-} in ?*)\n" +
		"\t(exec " + quoteWords(words, quoteShell) + ") >/dev/null 2>&1 </dev/null || : \"${_-}\" ;;\n" +
		"esac\n" + blockEnd + "\n"
}

// fishBlock is the block for fish, which complains of a missing program
// wherever its output goes.
func fishBlock(words []string) string {
	return blockBegin + "\n" + blockNote +
		"if test -n \"$SSH_CONNECTION\"; and test -x " + quoteFish(words[0]) + "\n" +
		"    " + quoteWords(words, quoteFish) + " >/dev/null 2>&1 </dev/null; or true\n" +
		"end\n" + blockEnd + "\n"
}

// quoteWords quotes paths and leaves plain words readable.
func quoteWords(words []string, quote func(string) string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w
		if i == 0 || strings.HasPrefix(w, "/") {
			out[i] = quote(w)
		}
	}
	return strings.Join(out, " ")
}

// quoteShell quotes a word for sh, bash and zsh.
func quoteShell(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// quoteFish quotes a word for fish, where a backslash keeps its meaning before
// a quote and before itself.
func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// checkPath refuses a path that can't stand in a line of a configuration file.
func checkPath(what, p string) error {
	if !strings.HasPrefix(p, "/") {
		return fmt.Errorf("%s %q: not an absolute path", what, p)
	}
	for _, r := range p {
		if r < 0x20 || r == 0x7f {
			return fmt.Errorf("%s %q: a control character in the path", what, p)
		}
	}
	return nil
}

// startFile is a file that a shell reads when it starts.
type startFile struct {
	shell, path, block, why string
}

// ShellError: no start-up file of this shell is known. Line is what its user
// can put into it, if it is like sh.
type ShellError struct {
	Shell, Line string
}

func (e *ShellError) Error() string {
	if e.Shell == "" {
		return "the account has no login shell"
	}
	return fmt.Sprintf("shell %q is not known: bash, zsh and fish are", e.Shell)
}

// startFiles returns the files in which a login by SSH meets the hook.
func (h Host) startFiles(a account) ([]startFile, error) {
	shells := a.Shells
	if len(shells) == 0 {
		kind := shellKind(a.LoginShell)
		if kind == "" {
			return nil, &ShellError{
				Shell: path.Base("/" + a.LoginShell),
				Line:  strings.TrimSuffix(shBlock(h.hookCommand(a.Binary, a.Config, a.Spool)), "\n"),
			}
		}
		shells = []string{kind}
	}
	words := h.hookCommand(a.Binary, a.Config, a.Spool)
	var out []startFile
	add := func(shell, path, block, why string) { out = append(out, startFile{shell, path, block, why}) }
	for _, s := range slices.Compact(slices.Sorted(slices.Values(shells))) {
		switch s {
		case Bash:
			add(Bash, path.Join(a.Home, ".bashrc"), shBlock(words), "the hook, for bash")
			if p, ok := h.bashProfile(a.Home); !ok {
				add(Bash, p, shBlock(words), "the hook, for login shells, which do not read .bashrc here")
			}
		case Zsh:
			add(Zsh, h.zshenv(a.Home, a.ZDotDir), shBlock(words), "the hook, for zsh")
		case Fish:
			add(Fish, path.Join(a.ConfigHome, "fish/conf.d/sshnotify.fish"), fishBlock(words), "the hook, for fish")
		}
	}
	return out, nil
}

// bashProfile returns the one file that a login bash reads (bash(1),
// INVOCATION), or would read if it were there, and whether it reads .bashrc.
func (h Host) bashProfile(home string) (p string, readsBashrc bool) {
	for _, name := range []string{".bash_profile", ".bash_login", ".profile"} {
		p := path.Join(home, name)
		if !h.exists(p) {
			continue
		}
		return p, h.readsBashrc(p, home, 0)
	}
	return path.Join(home, ".profile"), false
}

// readsBashrc looks for .bashrc in a profile, and in the .profile that a
// .bash_profile often reads.
func (h Host) readsBashrc(p, home string, depth int) bool {
	for line := range strings.SplitSeq(h.text(p), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.Contains(line, "bashrc") {
			return true
		}
		if depth == 0 && strings.Contains(line, "/.profile") && h.readsBashrc(path.Join(home, ".profile"), home, 1) {
			return true
		}
	}
	return false
}

// zshenv returns the first file of its user's that every zsh reads (zsh(1),
// STARTUP/SHUTDOWN FILES). A ZDOTDIR that ~/.zshenv itself sets does not move
// ~/.zshenv.
func (h Host) zshenv(home, zdotdir string) string {
	own := path.Join(home, ".zshenv")
	if zdotdir == "" || !path.IsAbs(zdotdir) || strings.Contains(h.text(own), "ZDOTDIR=") {
		return own
	}
	return path.Join(zdotdir, ".zshenv")
}

// allStartFiles returns every place where a block may stand, for taking it out.
func (h Host) allStartFiles(a account) []string {
	var out []string
	for _, name := range []string{".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshenv"} {
		out = append(out, path.Join(a.Home, name))
	}
	if path.IsAbs(a.ZDotDir) {
		out = append(out, path.Join(a.ZDotDir, ".zshenv"))
	}
	return append(out, path.Join(a.ConfigHome, "fish/conf.d/sshnotify.fish"))
}

// shellHooks are the hook's blocks in the start-up files of an account's shells.
type shellHooks struct{ account }

func (a shellHooks) plan(p *planner) error {
	files, err := p.h.startFiles(a.account)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, s := range files {
		f, err := p.h.read(s.path)
		if err != nil {
			return err
		}
		// Two dotfiles may be links to one.
		if seen[f.path] {
			continue
		}
		seen[f.path] = true
		content, err := setBlock(f.data, s.block)
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

func (a shellHooks) undo(u *uninstaller) error {
	places := u.h.allStartFiles(a.account)
	for _, it := range u.rec.Items {
		if it.Kind == kindEdit {
			places = append(places, it.Path)
		}
	}
	for _, f := range places {
		if err := u.cutFrom(f, cutBlock, "the hook goes"); err != nil {
			return err
		}
	}
	return nil
}

// check checks that each shell meets the hook.
func (a shellHooks) check(c *checker) {
	files, err := c.h.startFiles(a.account)
	if err != nil {
		c.Fail("shell", "sshnotify install --shell bash", "%v", err)
	}
	for _, s := range files {
		name := "hook " + s.shell
		f, err := c.h.read(s.path)
		if err != nil {
			c.Fail(name, againUser, "%v", err)
			continue
		}
		found, err := findBlocks(f.data)
		switch {
		case err != nil:
			c.Fail(name, "take both marker lines out of "+quoteShell(f.path)+", then: "+againUser, "%s: %v", f.path, err)
		case len(found) == 0:
			c.Fail(name, againUser, "%s: no block", f.path)
		case len(found) > 1:
			c.Warn(name, againUser, "%s: %d blocks", f.path, len(found))
		case mayReturn(f.data[:found[0].from]):
			c.Fail(name, againUser, "%s: what stands above the block may keep it from being read", f.path)
		case string(f.data[found[0].from:found[0].to]) != s.block:
			c.Warn(name, againUser, "%s: the block is an older one, or was changed", f.path)
		default:
			c.OK(name, "%s", f.path)
		}
	}
}
