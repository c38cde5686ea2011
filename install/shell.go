package install

import (
	"fmt"
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

// hookCommand gives the words of the shells' hook.
func hookCommand(binary, config, spool string) []string {
	words := []string{binary, "hook"}
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
