package cmd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/paths"
)

// Root hands over what is to be watched, and what is wrong is said of the file
// where it stands.
func TestWatchersSettings(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	name, file := filepath.Join(dir, "config.toml"), filepath.Join(dir, "watch.json")
	text := "host = \"db1.example.com\"\ntime_zone = \"Europe/Dublin\"\n[destination.slack]\nwebhook_url = \"https://hooks.slack.com/services/T0/B0/SECRET\"\n" +
		"[watch]\nnotify = \"each\"\nignore_networks = [\"192.0.2.0/28\"]\n[[pattern]]\nname = \"disk\"\nmatch = 'I/O error'\n"
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save(text)
	// As somebody who is not root: root's goes to the watcher's group.
	a := &app{configFile: name, uid: 1, places: paths.User{UID: os.Getuid()}, err: &bytes.Buffer{}}
	write := watchOptions{app: a, writeTo: file}
	uid := os.Getuid()
	if uid != 0 {
		a.uid = uid
	}
	if err := write.writeSettings(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(data), "SECRET") {
		t.Errorf("%v, %s", err, data)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	want, err := a.settingsWithoutSecrets()
	if err != nil {
		t.Fatal(err)
	}
	got, err := (&watchOptions{app: &app{}, settingsFile: file}).settings()
	if err != nil || got.Host != want.Host || got.Zone().String() != want.Zone().String() || got.SpoolDir != a.spoolDir("", want) || len(got.Patterns) != 1 {
		t.Errorf("%+v, %v", got, err)
	}

	save(text + "ignroe = ['sr0']\n")
	var settings *settingsError
	if err := write.writeSettings(); !errors.As(err, &settings) || !strings.Contains(err.Error(), name+":11") {
		t.Errorf("an unknown key: %v", err)
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != string(data) {
		t.Errorf("what is wrong took the place of what is right: %v", err)
	}

	save(text)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := write.writeSettings(); err == nil || !strings.Contains(err.Error(), "can be written by others") {
		t.Errorf("into a folder that all write to: %v", err)
	}
	if _, err := (&watchOptions{app: &app{}, settingsFile: filepath.Join(dir, "none.json")}).settings(); !errors.As(err, &settings) {
		t.Errorf("without the file: %v", err)
	}
}
