package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// What is missing, and who may not, decides what there is to do.
func TestHintsSayWhatToDo(t *testing.T) {
	missing := func(key string) error {
		return &strictoml.Error{File: "config.toml", Key: key, Message: "no such file or directory", Err: fs.ErrNotExist}
	}
	a := &app{uid: 1000, configFile: "config.toml"}
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"the settings": {&settingsError{missing("")}, []string{"make the file, or leave --config out: /etc/sshnotify/config.toml is the default"}},
		"a link in conf.d": {
			&settingsError{&strictoml.Error{File: "conf.d/x.toml", Message: "no such file or directory", Err: fs.ErrNotExist}},
			[]string{"make the file, or take out what leads to it: ls -l conf.d/x.toml"},
		},
		"a hint of its own":  {&settingsError{&strictoml.Error{File: "config.toml", Err: fs.ErrNotExist, Hint: "touch config.toml"}}, []string{"touch config.toml"}},
		"an account's spool": {spool.ErrMissing, []string{"sshnotify install makes that of the settings, --spool DIR names another"}},

		"two secrets": {
			&settingsError{errors.Join(missing("destination.slack.webhook_url_file"), missing("provider.spur.api_key_file"))},
			[]string{"put the secret into the file that destination.slack.webhook_url_file names; the key without _file takes the secret itself", "put the secret into the file that provider.spur.api_key_file names; the key without _file takes the secret itself"},
		},
		"settings of others": {
			&settingsError{errors.Join(&strictoml.Error{File: "a", Err: fs.ErrPermission}, &strictoml.Error{File: "b", Err: fs.ErrPermission})},
			[]string{"run it as root, or as the user whose settings they are"},
		},
		"a secret that only root can read": {
			&settingsError{&strictoml.Error{File: "config.toml", Key: "destination.slack.webhook_url_file", Err: fs.ErrPermission}},
			[]string{"have the service, and nobody else, read the FILE that destination.slack.webhook_url_file names: sudo chgrp sshnotify FILE && sudo chmod 640 FILE", "run it as root, or as the user whose settings they are"},
		},
		"a provider's file": {
			&settingsError{fmt.Errorf("provider.ours: %w", fs.ErrNotExist)},
			[]string{"make the file, or correct its path in the settings"},
		},
		"a mistake": {&settingsError{&strictoml.Error{File: "config.toml", Key: "hots", Message: "unknown key"}}, nil},
		"a service's sandbox": {
			&fs.PathError{Op: "mkfifo", Path: "/run/snort/alert.fifo", Err: syscall.EROFS},
			[]string{"a service may write to its own folders only; more in a drop-in (systemctl edit sshnotify-watch): ReadWritePaths=DIR under [Service]"},
		},
	} {
		var said bytes.Buffer
		a.err = &said
		a.complain(c.err)
		var got []string
		for line := range strings.Lines(said.String()) {
			if hint, ok := strings.CutPrefix(line, "sshnotify: hint: "); ok {
				got = append(got, strings.TrimSpace(hint))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
