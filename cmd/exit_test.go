package cmd

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// What is missing, and who may not, decides what there is to do.
func TestHintsSayWhatToDo(t *testing.T) {
	missing := func(key string) error {
		return &strictoml.Error{File: "config.toml", Key: key, Message: "no such file or directory", Err: fs.ErrNotExist}
	}
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"the settings": {&settingsError{missing("")}, []string{"write the file that is named, or leave --config out for the default place"}},
		"two secrets": {
			&settingsError{errors.Join(missing("destination.slack.webhook_url_file"), missing("provider.spur.api_key_file"))},
			[]string{"make the file that destination.slack.webhook_url_file names", "make the file that provider.spur.api_key_file names"},
		},
		"settings of others": {
			&settingsError{errors.Join(&strictoml.Error{File: "a", Err: fs.ErrPermission}, &strictoml.Error{File: "b", Err: fs.ErrPermission})},
			[]string{"run it as root, or as the user whose settings they are"},
		},
		"a mistake": {&settingsError{&strictoml.Error{File: "config.toml", Key: "hots", Message: "unknown key"}}, nil},
		"a service's sandbox": {
			&fs.PathError{Op: "mkfifo", Path: "/run/snort/alert.fifo", Err: syscall.EROFS},
			[]string{"a service may write to its own folders only; more in a drop-in (systemctl edit sshnotify-watch): ReadWritePaths=DIR under [Service]"},
		},
	} {
		if got := hints(c.err); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
