package pam

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"

	"github.com/sshnotify/sshnotify/internal/passwd"
)

// AccountName returns the name under which the host keeps the account of a name that
// somebody typed. A directory may know one by several: by capitals, or with its domain
// (sssd.conf(5), case_sensitive). Each would have a second step, counters and limits of
// its own. In /etc/passwd each name is its own account; only for others the name
// service is asked, as sshd has just done.
func AccountName(ctx context.Context, typed string) (string, error) {
	return accountName(ctx, passwd.ReadFile("/etc/passwd"), typed, getent)
}

func accountName(ctx context.Context, list, typed string, ask func(context.Context, string) ([]byte, error)) (string, error) {
	if _, ok := passwd.ByName(list, typed); ok || strings.Trim(typed, "0123456789") == "" { // getent(1) takes a number for a uid
		return typed, nil
	}
	out, err := ask(ctx, typed)
	if unknown := (*exec.ExitError)(nil); errors.Is(err, fs.ErrNotExist) || errors.As(err, &unknown) && unknown.ExitCode() == notFound {
		return typed, nil // without getent there is no name service; or sshd has a list of its own
	}
	if err != nil {
		return "", fmt.Errorf("the account's name is not known: getent: %w", err)
	}
	name, _, ok := strings.Cut(string(out), ":")
	if !ok || name == "" || strings.ContainsAny(name, "\n\x00") {
		return "", fmt.Errorf("the account's name is not known: getent says %q", name)
	}
	return name, nil
}

// notFound is what getent(1) exits with for a name that nobody knows.
const notFound = 2

// getent returns the entry of a user. PAM's environment has no PATH, and what else it
// has is none of the program's business.
func getent(ctx context.Context, name string) ([]byte, error) {
	c := exec.CommandContext(ctx, "/usr/bin/getent", "passwd", "--", name)
	c.Env = []string{"LC_ALL=C"}
	return c.Output()
}
