package install

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// startFile is a file that a shell reads when it starts.
type startFile struct {
	shell, path, why string
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

// startFiles gives the files in which a login by SSH meets the hook.
func (h Host) startFiles(a userPlace) ([]startFile, error) {
	shells := a.Shells
	if len(shells) == 0 {
		kind := shellKind(a.LoginShell)
		if kind == "" {
			return nil, &ShellError{
				Shell: path.Base("/" + a.LoginShell),
				Line:  strings.TrimSuffix(shBlock(hookCommand(a.Binary, a.Config, a.Spool)), "\n"),
			}
		}
		shells = []string{kind}
	}
	var out []startFile
	for _, s := range slices.Compact(slices.Sorted(slices.Values(shells))) {
		switch s {
		case Bash:
			out = append(out, startFile{Bash, path.Join(a.Home, ".bashrc"), "the hook, for bash"})
			if p, ok := h.bashProfile(a.Home); !ok {
				out = append(out, startFile{Bash, p, "the hook, for login shells, which do not read .bashrc here"})
			}
		case Zsh:
			out = append(out, startFile{Zsh, h.zshenv(a.Home, a.ZDotDir), "the hook, for zsh"})
		case Fish:
			out = append(out, startFile{Fish, path.Join(a.ConfigHome, "fish/conf.d/sshnotify.fish"), "the hook, for fish"})
		}
	}
	return out, nil
}

// bashProfile gives the one file that a login bash reads (bash(1),
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

// zshenv gives the first file of its user's that every zsh reads (zsh(1),
// STARTUP/SHUTDOWN FILES). A ZDOTDIR that ~/.zshenv itself sets does not move
// ~/.zshenv.
func (h Host) zshenv(home, zdotdir string) string {
	own := path.Join(home, ".zshenv")
	if zdotdir == "" || !path.IsAbs(zdotdir) || strings.Contains(h.text(own), "ZDOTDIR=") {
		return own
	}
	return path.Join(zdotdir, ".zshenv")
}

// allStartFiles gives every place where a block may stand, for taking it out.
func (h Host) allStartFiles(a userPlace) []string {
	var out []string
	for _, name := range []string{".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshenv"} {
		out = append(out, path.Join(a.Home, name))
	}
	if path.IsAbs(a.ZDotDir) {
		out = append(out, path.Join(a.ZDotDir, ".zshenv"))
	}
	return append(out, path.Join(a.ConfigHome, "fish/conf.d/sshnotify.fish"))
}
