package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// readForParent reads a source and appends key and text of each line to a file,
// as what is safe, until it is killed.
func readForParent(settings string) {
	var o struct{ Path, StateDir, Out, Journalctl string }
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fail(json.Unmarshal([]byte(settings), &o))
	out, err := os.OpenFile(o.Out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	fail(err)
	options := Options{Name: "auth", Path: o.Path, StateDir: o.StateDir, FromStart: true, Journalctl: o.Journalctl,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), grace: 2 * time.Second}
	open := OpenFile
	if o.Journalctl != "" {
		open = OpenJournal
	}
	s, err := open(options)
	fail(err)
	for {
		b, err := s.Read(context.Background())
		fail(err)
		var text bytes.Buffer
		for i, l := range b.Lines {
			fmt.Fprintf(&text, "%s %s\n", b.Key(i), l.Text)
		}
		_, err = out.Write(text.Bytes())
		fail(err)
		fail(s.Commit(b))
	}
}

// TestLogrotateUnderLoad: 5,000 lines a second are written while logrotate
// turns the file and the reader is killed.
func TestLogrotateUnderLoad(t *testing.T) {
	standin.Gate(t)
	logrotate, err := exec.LookPath("logrotate")
	if err != nil {
		for _, at := range []string{"/usr/sbin/logrotate", "/sbin/logrotate"} {
			if _, e := os.Stat(at); e == nil {
				logrotate, err = at, nil
			}
		}
	}
	required := os.Getenv("SSHNOTIFY_E2E") == "required"
	if err != nil && !required {
		t.Skip("there is no logrotate")
	}
	if err != nil {
		t.Fatal(err)
	}
	load := 2 * time.Second
	if required {
		load = 10 * time.Second
	}
	for _, how := range []string{"create", "copytruncate"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, out := filepath.Join(dir, "auth.log"), filepath.Join(dir, "out")
			conf := filepath.Join(dir, "logrotate.conf")
			text := fmt.Sprintf("%s {\n rotate 1000\n %s\n su root root\n}\n", path, how)
			if os.Getuid() != 0 {
				text = strings.ReplaceAll(text, " su root root\n", "")
			}
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			os.Chmod(filepath.Dir(dir), 0o755)

			ctx, stop := context.WithTimeout(t.Context(), load)
			defer stop()
			written := make(chan int)
			go func() { written <- writeLines(ctx, t, path) }()
			settings, _ := json.Marshal(map[string]string{"Path": path, "StateDir": filepath.Join(dir, "state"), "Out": out})
			start := func() *exec.Cmd {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), helperVar+"="+string(settings))
				cmd.Stderr = os.Stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				return cmd
			}
			kill := func(cmd *exec.Cmd) {
				cmd.Process.Signal(syscall.SIGKILL)
				cmd.Wait()
			}
			// Who has no position yet knows of no rotated file: the first reader is not
			// killed, and nothing is turned, before it has one.
			cmd := start()
			waitFor(t, "a position", func() bool {
				found, _ := filepath.Glob(filepath.Join(dir, "state", "*.json"))
				for _, at := range found {
					if b, err := os.ReadFile(at); err == nil && strings.Contains(string(b), `"off":`) {
						return true
					}
				}
				return false
			}, func() string { return "there is none" })
			turns := make(chan int)
			go func() {
				n := 0
				for ctx.Err() == nil {
					select {
					case <-ctx.Done():
					case <-time.After(load / 8):
						if said, err := exec.Command(logrotate, "-f", "-s", filepath.Join(dir, "status"), conf).CombinedOutput(); err != nil {
							t.Errorf("logrotate: %v: %s", err, said)
						}
						n++
					}
				}
				turns <- n
			}()

			kills := 0
			for ; ctx.Err() == nil; cmd = start() {
				select {
				case <-ctx.Done():
				case <-time.After(100*time.Millisecond + rand.N(500*time.Millisecond)):
				}
				kill(cmd)
				kills++
				select { // and away for as long as two turns may take
				case <-ctx.Done():
				case <-time.After(rand.N(load / 5)):
				}
			}
			n, turned := <-written, <-turns
			disk := onDisk(t, path)
			defer kill(cmd)
			var got map[int]int
			lines := 0
			waitFor(t, "all lines that are on disk", func() bool {
				got, lines = readOut(t, out)
				return covers(got, disk)
			}, func() string { return missing(got, disk) })
			twice := 0
			for _, times := range got {
				if times > 1 {
					twice++
				}
			}
			t.Logf("%s: %d lines written, %d turns, %d kills: %d read, %d read again and known by their keys, %d lost; %d lost by %s itself",
				how, n, turned, kills, len(got), lines-len(got), n-len(got), n-len(disk), how)
			if twice > 0 {
				t.Errorf("%d lines have two keys", twice)
			}
			if how == "create" && (len(got) != n || len(disk) != n) {
				t.Errorf("%d of %d lines were read", len(got), n)
			}
		})
	}
}

// writeLines writes numbered lines as a daemon does that is told some time after
// the rotation that it should open the file again, and says how many.
func writeLines(ctx context.Context, t *testing.T, path string) (n int) {
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Error(err)
		}
		return f
	}
	f := open()
	defer func() { f.Close() }()
	began := time.Now()
	reopen := began
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		var b []byte
		for ; n < int(time.Since(began)/(200*time.Microsecond)); n++ {
			b = fmt.Appendf(b, "Nov 21 02:15:04 db1 sshd[812]: Failed password for root from 203.0.113.7 port 51234 ssh2 #%d\n", n)
		}
		if _, err := f.Write(b); err != nil {
			t.Error(err)
			return n
		}
		if now := time.Now(); now.Sub(reopen) > 50*time.Millisecond {
			reopen = now
			here, err1 := f.Stat()
			there, err2 := os.Stat(path)
			if err1 == nil && err2 == nil && !os.SameFile(here, there) {
				f.Close()
				f = open()
			}
		}
	}
	return n
}

func number(text string) (n int) {
	fmt.Sscanf(text[strings.LastIndexByte(text, '#')+1:], "%d", &n)
	return n
}

// onDisk returns the lines that rotation left.
func onDisk(t *testing.T, path string) map[int]bool {
	found := map[int]bool{}
	files, _ := filepath.Glob(path + "*")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.Lines(string(b)) {
			found[number(text)] = true
		}
	}
	return found
}

// readOut returns how many keys each line has, and how many lines were read in
// all.
func readOut(t *testing.T, out string) (got map[int]int, lines int) {
	got = map[int]int{}
	keys := map[string]bool{}
	f, err := os.Open(out)
	if err != nil {
		return got, 0
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() {
		key, text, ok := strings.Cut(in.Text(), " ")
		if !ok || !strings.Contains(text, "#") {
			continue // being written
		}
		lines++
		if !keys[key] {
			keys[key] = true
			got[number(text)]++
		}
	}
	return got, lines
}

func covers(got map[int]int, want map[int]bool) bool {
	for n := range want {
		if got[n] == 0 {
			return false
		}
	}
	return true
}

func missing(got map[int]int, want map[int]bool) string {
	first, last, count := -1, 0, 0
	for n := range want {
		if got[n] == 0 {
			if first < 0 || n < first {
				first = n
			}
			last, count = max(last, n), count+1
		}
	}
	return fmt.Sprintf("%d lines, from %d to %d", count, first, last)
}

// waitFor waits until cond is true, 20 s at most.
func waitFor(t *testing.T, what string, cond func() bool, else_ func() string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s: %s", what, else_())
		}
		select {
		case <-t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
