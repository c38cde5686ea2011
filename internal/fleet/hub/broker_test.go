package hub

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/fleet"
)

// Hosts come over a broker, which holds their names: no token let them in.
func TestReceiver(t *testing.T) {
	s := serve(t, openDB(t))
	dir := filepath.Join(t.TempDir(), "rejected")
	r := s.Receiver(dir)
	batch := func(first int64) fleet.Batch {
		return fleet.Batch{Numbering: "n1", Lines: []fleet.Line{{Number: first, Event: stored(t, loginOf("alice"))}}}
	}
	refused := func(err error) bool {
		var e *fleet.Error
		return errors.As(err, &e) && e.Class == fleet.Refused
	}
	if a, err := r.Ingest(t.Context(), "web1", batch(1)); err != nil || a.Stored != 1 || a.Have != 1 {
		t.Errorf("%+v %v", a, err)
	}
	if a, err := r.Beat(t.Context(), "web1", fleet.Beat{Numbering: "n1", Number: fleet.NotAsked, Time: time.Now()}); err != nil || a.Have != 1 {
		t.Errorf("a beat while the stream is not read to its end: %+v %v", a, err)
	}
	if _, err := r.Beat(t.Context(), "web2", fleet.Beat{Numbering: "n2", Time: time.Now()}); err != nil {
		t.Errorf("a host that has told nothing yet: %v", err)
	}
	all, err := s.reg.Hosts(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "web1" || all[1].Name != "web2" || all[0].Kind != KindHost {
		t.Errorf("%+v %v", all, err)
	}
	// A stream has what came in a week: no limit of ours is for that.
	for i := range 3 * fleet.MaxEvents / fleet.MaxBatch {
		b := fleet.Batch{Numbering: "n1"}
		for j := range fleet.MaxBatch {
			b.Lines = append(b.Lines, fleet.Line{Number: int64(2 + i*fleet.MaxBatch + j), Event: []byte(`{}`)})
		}
		if a, err := r.Ingest(t.Context(), "web1", b); err != nil || len(a.Rejected) != fleet.MaxBatch {
			t.Fatalf("%+v %v", a, err)
		}
	}
	// What can never be taken must not come again for ever.
	if _, err := r.Ingest(t.Context(), "web1", fleet.Batch{Numbering: "n1", Lines: []fleet.Line{{Number: 1 << 60, Event: []byte(`{}`)}}}); !refused(err) {
		t.Errorf("an impossible number: %v", err)
	}
	// Of beats there is.
	var busy error
	for range 3 * fleet.MaxRequests * 10 {
		if _, busy = r.Beat(t.Context(), "web2", fleet.Beat{Numbering: "n2"}); busy != nil {
			break
		}
	}
	if e, ok := errors.AsType[*fleet.Error](busy); !ok || e.Class != fleet.Again {
		t.Errorf("beats without end: %v", busy)
	}
	if err := s.reg.Revoke(t.Context(), "web1"); err != nil {
		t.Fatal(err)
	}
	if err := s.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Ingest(t.Context(), "web1", batch(5)); !refused(err) {
		t.Errorf("a revoked host: %v", err)
	}
	if _, err := r.Beat(t.Context(), "web1", fleet.Beat{}); !refused(err) {
		t.Errorf("a revoked host's beat: %v", err)
	}
}

// What nobody will take is kept once, and not without end.
func TestReject(t *testing.T) {
	s := serve(t, openDB(t))
	dir := filepath.Join(t.TempDir(), "rejected")
	r := s.Receiver(dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range maxRejected - 2 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("z", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		if err := r.Reject(t.Context(), "ev.web1.login", "it is no line of a host's", fmt.Append(nil, i/2)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != maxRejected {
		t.Errorf("%d files, %v", len(files), err)
	}
	info, err := files[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}
