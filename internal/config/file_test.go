package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/folder.toml", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(dir+"/fifo.toml", 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "large.toml", strings.Repeat("#", 1<<20+1), 0o600)
	write(t, dir, "full.toml", strings.Repeat("#", 1<<20), 0o600)
	if err := os.Symlink("full.toml", dir+"/link.toml"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", dir+"/dangling.toml"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"missing.toml":  "missing.toml: no such file or directory",
		"folder.toml":   "folder.toml: not a regular file",
		"fifo.toml":     "fifo.toml: not a regular file", // without waiting for a writer
		"large.toml":    "large.toml: larger than 1048576 bytes",
		"full.toml":     "",
		"link.toml":     "",
		"dangling.toml": "dangling.toml: no such file or directory",
	} {
		_, err := Load(filepath.Join(dir, name))
		if got := strings.ReplaceAll(text(err), dir+"/", ""); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if missing := strings.Contains(want, "no such"); errors.Is(err, fs.ErrNotExist) != missing {
			t.Errorf("%s: errors.Is ErrNotExist must be %v", name, missing)
		}
	}
	if os.Getuid() != 0 {
		path := write(t, dir, "closed.toml", "", 0)
		if _, err := Load(path); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("no permission: %v", err)
		}
	}
}

func TestConfDWithoutConfigToml(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "conf.d/1.toml", "host='a'\n", 0o644)
	_, err := Load(dir + "/config.toml")
	errs := strictoml.Errors(err)
	if len(errs) != 1 || errs[0].Hint != "conf.d is read with a config.toml only, which may be empty: touch "+dir+"/config.toml" {
		t.Errorf("%v", errs)
	}
}

func TestFind(t *testing.T) {
	if _, ok := Find(paths.User{UID: 1000}); ok {
		t.Error("settings found without a home")
	}
	for name, ok := range map[string]bool{
		"":                           false,
		"sshnotify/config.toml":      true,
		"sshnotify/conf.d/a.toml":    true, // Load then says that config.toml is missing
		"sshnotify/conf.d/README":    false,
		"sshnotify/config.toml.save": false,
	} {
		dir := t.TempDir()
		if name != "" {
			write(t, dir, name, "", 0o600)
		}
		path, got := Find(paths.User{UID: 1000, XDGConfigHome: dir})
		if path != filepath.Join(dir, "sshnotify/config.toml") || got != ok {
			t.Errorf("with %q: %s %v", name, path, got)
		}
	}
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/sshnotify", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", dir+"/sshnotify/config.toml"); err != nil {
		t.Fatal(err)
	}
	if _, ok := Find(paths.User{UID: 1000, XDGConfigHome: dir}); !ok {
		t.Error("a link to nowhere is no settings file, and nobody would be told")
	}
}
