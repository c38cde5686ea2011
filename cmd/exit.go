package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// The exit codes of the contract; 75 and 78 are EX_TEMPFAIL and EX_CONFIG of
// sysexits(3).
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitAgain    = 75
	exitSettings = 78
)

func exitMeaning(code int) string {
	switch code {
	case exitDone:
		return "done"
	case exitFailed:
		return "failed"
	case exitUsage:
		return "wrong usage"
	case exitAgain:
		return "events are pending; try again later"
	case exitSettings:
		return "wrong settings, or a named settings file is missing"
	}
	return ""
}

// settingsError is a settings file that can't be used.
type settingsError struct{ err error }

func (e *settingsError) Error() string { return e.err.Error() }
func (e *settingsError) Unwrap() error { return e.err }

// hintError carries what to do about an error.
type hintError struct {
	err   error
	hints []string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

func withHint(err error, hints ...string) error { return &hintError{err, hints} }

// silentError is a failure that has been said already.
type silentError struct{ code int }

func (e *silentError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	var (
		usage    *usageError
		settings *settingsError
		silent   *silentError
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return exitDone
	case errors.As(err, &silent):
		return silent.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &settings):
		return exitSettings
	case errors.Is(err, deliver.ErrWaiting), errors.Is(err, spool.ErrLocked):
		return exitAgain
	}
	return exitFailed
}

// hints is the one place where errors become advice.
func (a *app) hints(err error) []string {
	var (
		hinted   *hintError
		settings *settingsError
	)
	switch {
	case errors.As(err, &hinted):
		return hinted.hints
	case errors.As(err, &settings):
		return settingsHints(err)
	case errors.Is(err, syscall.EROFS):
		return []string{"a service may write to its own folders only; more in a drop-in (systemctl edit sshnotify-watch): ReadWritePaths=DIR under [Service]"}
	case errors.Is(err, syscall.ENOSPC):
		return []string{"the disk is full: df -h shows which"}
	case errors.Is(err, spool.ErrMissing):
		return []string{a.setUp() + " makes that of the settings, --spool DIR names another"}
	case errors.Is(err, fs.ErrPermission):
		return []string{"run it as root, or as the user that sshnotify delivers as: sudo -u sshnotify sshnotify …"}
	case errors.Is(err, deliver.ErrWaiting):
		return []string{"sshnotify queue lists what waits, and why"}
	}
	return nil
}

// setUp is the command that sets up what this user's commands work on.
func (a *app) setUp() string {
	if a.uid == 0 {
		return "sudo sshnotify install --system"
	}
	return "sshnotify install"
}

// settingsHints leaves out what complain says beside each error.
func settingsHints(err error) (hints []string) {
	if errors.Is(err, fs.ErrPermission) {
		hints = append(hints, "run it as root, or as the user whose settings they are")
	}
	if errors.Is(err, fs.ErrNotExist) && len(strictoml.Errors(err)) == 0 {
		hints = append(hints, "make the file, or correct its path in the settings")
	}
	return hints
}

// settingHint is what to do about one thing that is wrong with the settings. What
// is missing may be the settings file, or one that it names.
func (a *app) settingHint(e *strictoml.Error) string {
	switch {
	case e.Hint == "" && errors.Is(e, fs.ErrPermission) && strings.HasSuffix(e.Key, "_file"):
		return "have the service, and nobody else, read the FILE that " + e.Key + " names: sudo chgrp sshnotify FILE && sudo chmod 640 FILE"
	case e.Hint != "" || !errors.Is(e, fs.ErrNotExist):
		return e.Hint
	case e.Key == "" && e.File == a.configFile:
		return "make the file, or leave --config out: " + orNone(a.places.ConfigFile()) + " is the default"
	case e.Key == "":
		return "make the file, or take out what leads to it: ls -l " + shellQuoted(e.File)
	case strings.HasSuffix(e.Key, "_file"):
		return "put the secret into the file that " + e.Key + " names; the key without _file takes the secret itself"
	}
	return "make the file that " + e.Key + " names"
}

// complain tells a person what went wrong, and what to do about it.
func (a *app) complain(err error) {
	var silent *silentError
	if err == nil || errors.As(err, &silent) || errors.Is(err, context.Canceled) {
		return
	}
	if all := strictoml.Errors(err); len(all) > 0 {
		for _, e := range all {
			fmt.Fprintf(a.err, "sshnotify: error: %v\n", e)
			if hint := a.settingHint(e); hint != "" {
				fmt.Fprintf(a.err, "sshnotify: hint: %s\n", hint)
			}
		}
	} else {
		fmt.Fprintf(a.err, "sshnotify: error: %v\n", err)
	}
	for _, h := range a.hints(err) {
		fmt.Fprintf(a.err, "sshnotify: hint: %s\n", h)
	}
}

// exits writes the EXIT STATUS section of a help text.
func exits(codes ...int) string {
	var b strings.Builder
	b.WriteString("EXIT STATUS\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "  %-3d %s\n", c, exitMeaning(c))
	}
	return strings.TrimRight(b.String(), "\n")
}

// long joins the parts of a help text.
func long(parts ...string) string { return strings.Join(parts, "\n\n") }
