package spool

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Another process of the test binary does what this variable says, to the
// folder that the next one names.
const (
	helperEnv    = "SPOOL_TEST_HELPER"
	helperDirEnv = "SPOOL_TEST_DIR"
)

func TestMain(m *testing.M) {
	helpers := map[string]func(dir string) error{"put": putForEver, "work": workForEver, "service": beService, "watcher": func(dir string) error { return beWatcher(dir, serviceID) }, "stranger": func(dir string) error { return beWatcher(dir) }, "dropworker": beDropWorker}
	if run := helpers[os.Getenv(helperEnv)]; run != nil {
		if err := run(os.Getenv(helperDirEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func helper(ctx context.Context, what, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+what, helperDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// putForEver publishes events and tells each that it was promised is safe.
func putForEver(dir string) error {
	s := Open(Options{Dir: dir})
	for {
		name := newEvent()
		if _, err := s.Put(name, content(name)); err != nil {
			return err
		}
		fmt.Println(name)
	}
}

// workForEver claims, rewrites, fails and retries, and never removes.
func workForEver(dir string) error {
	s := Open(Options{Dir: dir})
	for {
		q, err := s.Lock(context.Background(), true)
		if err != nil {
			return err
		}
		if _, _, err := q.Claim(10); err != nil {
			return err
		}
		names, err := q.List()
		if err != nil {
			return err
		}
		for _, name := range names[max(0, len(names)-10):] {
			switch rand.N(4) {
			case 0:
				err = q.Write(name, append(content(name), "and tried\n"...))
			case 1:
				err = q.Fail(name, nil)
			case 2:
				err = q.Fail(name, append(content(name), "and failed\n"...))
			case 3:
				if err = q.Fail(name, nil); err == nil {
					err = q.Retry(name)
				}
			}
			if err != nil {
				return err
			}
		}
		if err := q.Unlock(); err != nil {
			return err
		}
		fmt.Println("turn")
	}
}

// killed runs a helper, kills it some milliseconds after its first line, and
// gives the whole lines that it wrote.
func killed(t *testing.T, what, dir string) []string {
	cmd := helper(t.Context(), what, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return nil
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return nil
	}
	var lines []string
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		if lines = append(lines, strings.TrimSpace(line)); len(lines) == 1 {
			time.AfterFunc(rand.N(15*time.Millisecond), func() { cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() == 1 {
		t.Errorf("%s ended by itself: %v", what, err)
	}
	return lines
}

// Hooks and workers that are killed at any instruction: what a Put promised is
// there, whole, and so is everything else.
func TestKilledAtRandom(t *testing.T) {
	rounds := 4
	if os.Getenv("SSHNOTIFY_E2E") != "" {
		rounds = 12
	}
	dir := fastDir(t)
	s := Open(Options{Dir: dir})
	var promised []string
	for range rounds {
		var both sync.WaitGroup
		both.Go(func() { killed(t, "work", dir) })
		both.Go(func() { promised = append(promised, killed(t, "put", dir)...) })
		both.Wait()
		for _, name := range files(t, dir, newName) {
			if b, err := os.ReadFile(filepath.Join(dir, newName, name)); err != nil || !bytes.Equal(b, content(name)) {
				t.Errorf("torn in new/: %s has %d bytes, error %v", name, len(b), err)
			}
		}
	}
	if s.Busy() {
		t.Error("a dead worker holds the lock")
	}
	q := mustLock(t, s)
	mustClaim(t, q)
	found := map[string]bool{}
	check := func(names []string, err error, read func(string) ([]byte, error)) {
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			found[name] = true
			b, err := read(name)
			if err != nil || !bytes.HasPrefix(b, content(name)) || !event.ValidID(strings.TrimSuffix(name, ".json")) {
				t.Errorf("torn: %s has %d bytes, error %v", name, len(b), err)
			}
		}
	}
	names, err := q.List()
	check(names, err, q.Read)
	names, err = q.Failed()
	check(names, err, q.ReadFailed)
	if len(promised) < rounds {
		t.Errorf("only %d events were promised", len(promised))
	}
	for _, name := range promised {
		if !found[name] {
			t.Errorf("lost: %s", name)
		}
	}
	t.Logf("%d promised, %d found", len(promised), len(found))
}
