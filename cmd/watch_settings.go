package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
)

// settings reads what is to be watched: from the settings, or from what
// writeSettings made of them.
func (o *watchOptions) settings() (config.Config, error) {
	if o.settingsFile == "" {
		return o.app.settingsWithoutSecrets()
	}
	data, err := os.ReadFile(o.settingsFile)
	var w config.Watching
	if err == nil {
		err = json.Unmarshal(data, &w)
	}
	if err != nil {
		return config.Config{}, withHint(&settingsError{fmt.Errorf("%s: %w", o.settingsFile, err)},
			shellLine("sudo", "sshnotify", "watch", "--write-settings", o.settingsFile), "or, for the service: sudo systemctl restart sshnotify-watch")
	}
	return w.Config(), nil
}

// writeSettings checks the settings and writes what the watcher needs of them,
// which is no secret, where only its user can read it. Patterns may hold what
// their owner would not show everybody.
func (o *watchOptions) writeSettings() error {
	a := o.app
	c, err := a.settingsWithoutSecrets()
	if err != nil {
		return err
	}
	if _, err := newPatterns(c); err != nil {
		return err
	}
	// They depend on which settings these were, which the watcher does not know.
	c.SpoolDir, c.StateDir = a.spoolDir(o.spoolDir, c), a.stateDir(c)
	data, err := json.Marshal(c.Watching)
	if err != nil {
		return err
	}
	file, err := filepath.Abs(o.writeTo)
	if err != nil {
		return err
	}
	// Whoever may write there could have the file put elsewhere.
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Dir(file), &st); err != nil {
		return &fs.PathError{Op: "stat", Path: filepath.Dir(file), Err: err}
	}
	if int(st.Uid) != a.uid && st.Uid != 0 || st.Mode&0o022 != 0 {
		return withHint(fmt.Errorf("%s can be written by others", filepath.Dir(file)), "name a file in a folder that only you can write to, such as /run for root")
	}
	t, err := renameio.NewPendingFile(file, renameio.WithTempDir(filepath.Dir(file)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer t.Cleanup()
	if _, err := t.Write(append(data, '\n')); err != nil {
		return err
	}
	if a.uid == 0 {
		u, ok := install.Live().UserByName(install.WatchUser)
		if !ok {
			return withHint(errors.New("no user "+install.WatchUser), "sudo sshnotify install --system --watch")
		}
		if err := errors.Join(t.Chown(0, u.GID), t.Chmod(0o640)); err != nil {
			return err
		}
	}
	return t.CloseAtomicallyReplace()
}
