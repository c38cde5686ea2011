package install

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const debianGuard = `# ~/.bashrc: executed by bash(1) for non-login shells.
# for examples

# If not running interactively, don't do anything
case $- in
    *i*) ;;
      *) return;;
esac
HISTCONTROL=ignoreboth
`

const fedoraBashrc = `# .bashrc

# Source global definitions
if [ -f /etc/bashrc ]; then
    . /etc/bashrc
fi
`

// startFileTexts are what people have in their start-up files.
var startFileTexts = map[string]string{
	"empty":                "",
	"Debian's":             debianGuard,
	"Fedora's":             fedoraBashrc,
	"no guard":             "export A=1\n",
	"no last newline":      "export A=1",
	"only a comment":       "# mine",
	"CRLF":                 "# mine\r\n\r\nexport A=1\r\n",
	"byte order mark":      "\xef\xbb\xbf# mine\n\nexport A=1\n",
	"not UTF-8":            "export A=\xff\xfe\n",
	"blank lines":          "\n\n\n",
	"comment, blank, end":  "# mine\n\n",
	"comment, blank, open": "# mine\n \t",
}

func TestBlockRoundTrip(t *testing.T) {
	for name, text := range startFileTexts {
		t.Run(name, func(t *testing.T) {
			got := must(setBlock([]byte(text), "# >>> sshnotify >>>\nx\n# <<< sshnotify <<<\n"))(t)
			if i := strings.Index(string(got), "return"); i >= 0 && i < strings.Index(string(got), blockEnd) {
				t.Errorf("stands behind the guard:\n%s", got)
			}
			if back := must(cutBlock(got))(t); string(back) != text {
				t.Errorf("taken out (-want +got):\n%s", cmp.Diff(text, string(back)))
			}
		})
	}
}

func TestBlockPlace(t *testing.T) {
	const block = blockBegin + "\nnew\n" + blockEnd + "\n"
	old := strings.Replace(block, "new", "old", 1)
	for _, c := range []struct{ name, text, want string }{
		{"behind the heading", debianGuard, strings.Replace(debianGuard, "\n\n", "\n\n"+block, 1)},
		{"at the top without one", "a\n", block + "a\n"},
		{"a comment of the first line's stays with it", "# set a\na\n", block + "# set a\na\n"},
		{"an older block is brought up to date", "a\n" + old + "b\n", "a\n" + block + "b\n"},
		{"one whose last line has no newline", "a\n" + strings.TrimSuffix(old, "\n"), "a\n" + strings.TrimSuffix(block, "\n")},
		{"one that an editor gave other line endings", "a\r\n" + strings.ReplaceAll(old, "\n", "\r\n") + "b\r\n", "a\r\n" + block + "b\r\n"},
		{"one below a guard moves up", "[ -z \"$PS1\" ] && return\n" + old, block + "[ -z \"$PS1\" ] && return\n"},
		{"two become one", old + "a\n" + old + "b\n", block + "a\nb\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := must(setBlock([]byte(c.text), block))(t)
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBlockDamaged(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
	}{
		{"cut in half, the end gone", "a\n# >>> sshnotify >>>\nx\n", "line 2 begins has no end"},
		{"cut in half, the beginning gone", "x\n# <<< sshnotify <<<\n", "line 2 ends a block that has no beginning"},
		{"out of order", "# <<< sshnotify <<<\n# >>> sshnotify >>>\n", "line 1 ends"},
		{"one in another", "# >>> sshnotify >>>\n# >>> sshnotify >>>\n# <<< sshnotify <<<\n", "line 2 begins a block that line 1 began"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for what, edit := range map[string]func() ([]byte, error){
				"put in":   func() ([]byte, error) { return setBlock([]byte(c.text), "x\n") },
				"take out": func() ([]byte, error) { return cutBlock([]byte(c.text)) },
			} {
				got, err := edit()
				if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: got %q, error %v", what, got, err)
				}
			}
		})
	}
	if _, err := setBlock([]byte("a\x00b"), "x\n"); !errors.Is(err, ErrBinary) {
		t.Errorf("NUL: %v", err)
	}
}
