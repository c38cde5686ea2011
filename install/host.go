package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// Host is all that this package touches of a machine. Paths given to and by
// this package are the host's own ("/etc/pam.d/sshd"), whatever Root is.
type Host struct {
	// Root is the folder that every path is joined to: "/" for this machine,
	// the folder of an image, or a made-up tree in a test. Links are followed
	// inside of it.
	Root string
	// UID is the effective user id of this process.
	UID int
	// Run runs a command and returns its standard output. Nil where none can be
	// run, as for an image: a plan then says what is left to do by hand.
	Run func(ctx context.Context, c Command) ([]byte, error)
	// Chown sets the owner of a file, not following links. Nil is os.Lchown.
	Chown func(name string, uid, gid int) error
}

// Command is one command to run, without a shell.
type Command struct {
	Args  []string
	Stdin []byte
}

// String shows the command so that it can be pasted into a shell.
func (c Command) String() string { return doctor.ShellLine(c.Args...) }

// Live is this machine.
func Live() Host {
	return Host{Root: "/", UID: os.Geteuid(), Run: run}
}

// At is an image of a host in a folder. No command of the image is run.
func At(root string) (Host, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return Host{}, err
	}
	fi, err := os.Stat(abs)
	if err != nil {
		return Host{}, err
	}
	if !fi.IsDir() {
		return Host{}, fmt.Errorf("%s: not a folder", abs)
	}
	h := Host{Root: abs, UID: os.Geteuid()}
	if h.live() {
		return Live(), nil
	}
	return h, nil
}

func run(ctx context.Context, c Command) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(c.Stdin), &stderr
	// The answers are read by a program.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	out, err := cmd.Output()
	if err != nil {
		if first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n"); first != "" {
			err = fmt.Errorf("%w: %q", err, first)
		}
		return out, err
	}
	return out, nil
}

var errNoCommands = errors.New("no command can be run here")

// ask runs a command that changes nothing.
func (h Host) ask(ctx context.Context, args ...string) ([]byte, error) {
	if h.Run == nil {
		return nil, errNoCommands
	}
	return h.Run(ctx, Command{Args: args})
}

// live reports whether the host is this machine and not a tree in a folder.
func (h Host) live() bool { return h.Root == "" || filepath.Clean(h.Root) == "/" }

// real returns the path on this machine of a path of the host, as it is, with no
// link followed but by the system.
func (h Host) real(p string) string { return filepath.Join("/", h.Root, filepath.Clean("/"+p)) }

// resolve follows every link in p, an absolute target being taken from Root,
// and returns a path of the host without links. What does not exist is kept as
// it is written.
func (h Host) resolve(p string) (string, error) {
	root := h.real("/")
	at, err := securejoin.SecureJoin(root, p)
	if err != nil {
		return "", h.plain(err)
	}
	return path.Join("/", strings.TrimPrefix(at, root)), nil
}

// plain takes Root out of the path that an error of the system names.
func (h Host) plain(err error) error {
	var (
		p  string
		pe *fs.PathError
		le *os.LinkError
	)
	switch {
	case errors.As(err, &pe):
		p, err = pe.Path, pe.Err
	case errors.As(err, &le):
		p, err = le.New, le.Err
	default:
		return err
	}
	if !h.live() {
		p = "/" + strings.TrimPrefix(strings.TrimPrefix(p, h.real("/")), "/")
	}
	return fmt.Errorf("%s: %w", p, err)
}
