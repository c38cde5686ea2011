package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/state"
)

const (
	// maxEvidenceBytes and maxEvidenceFiles are how much evidence of one host is kept:
	// whoever has broken it must neither fill the hub's disk, nor have older evidence
	// make room. The owner deletes what is not needed any more.
	maxEvidenceBytes = 64 << 20
	maxEvidenceFiles = 200
)

// serveEvidence keeps what a host saw before something was ended there.
func (h *Hub) serveEvidence(w http.ResponseWriter, r *http.Request, c caller) error {
	if h.o.Evidence == "" {
		return &refusal{403, fleet.WhyUnknown, "this hub keeps no evidence", 0}
	}
	id := ""
	if nonce := r.Header.Get(fleet.HeaderOrder); nonce != "" {
		if id = h.orderedEvent(r.Context(), c.name, nonce); id == "" {
			return &refusal{400, fleet.WhyUnknown, "the hub knows no such order", 0}
		}
	} else if at := r.Header.Get(fleet.HeaderEvent); event.ValidID(at) {
		id = event.HubID(c.name, at)
	} else {
		return &refusal{400, fleet.WhyUnknown, "not evidence of an event", 0}
	}
	if r.ContentLength > fleet.MaxEvidence {
		return tooMuchEvidence()
	}
	h.mu.Lock()
	m := h.byName[c.name]
	sends := m == nil || m.sends
	if m != nil {
		m.sends = true
	}
	h.mu.Unlock()
	if sends {
		return &refusal{429, fleet.WhyBusy, "one piece of evidence at a time", 10 * time.Second}
	}
	defer func() { h.mu.Lock(); m.sends = false; h.mu.Unlock() }()
	if err := os.MkdirAll(h.o.Evidence, 0o700); err != nil {
		return err
	}
	f, err := renameio.NewPendingFile(filepath.Join(h.o.Evidence, c.name), renameio.WithTempDir(h.o.Evidence), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }()
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, hash), http.MaxBytesReader(w, r.Body, fleet.MaxEvidence))
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return tooMuchEvidence()
	}
	if err != nil {
		return err
	}
	sum := [sha256.Size]byte(hash.Sum(nil))
	if err := h.keepEvidence(c.name, id, f, size, sum); err != nil {
		return err
	}
	receipt, err := order.SignReceipt(h.ca.key, c.name, sum)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, fleet.EvidenceAnswer{Receipt: receipt})
}

func tooMuchEvidence() *refusal {
	return &refusal{413, fleet.WhyBusy, fmt.Sprintf("at most %d bytes of evidence", fleet.MaxEvidence), 0}
}

// keepEvidence keeps a host's evidence of an event, for good. The same again is kept once.
func (h *Hub) keepEvidence(host, id string, f *renameio.PendingFile, size int64, sum [sha256.Size]byte) error {
	h.evidence.Lock()
	defer h.evidence.Unlock()
	name := hex.EncodeToString(sum[:8])
	dir := filepath.Join(h.o.Evidence, host)
	var files int
	var bytes int64
	there := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".json") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files, bytes = files+1, bytes+info.Size()
			there = there || strings.HasSuffix(path, name+".json") && filepath.Base(filepath.Dir(path)) == id
		}
		return err
	})
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case there:
		return nil
	case files >= maxEvidenceFiles || bytes+size > maxEvidenceBytes:
		return &refusal{429, fleet.WhyBusy, fmt.Sprintf("the hub has %d pieces of evidence of %s, of %d MiB, and keeps no more until somebody deletes some in %s", files, host, bytes>>20, dir), time.Hour}
	}
	dir = filepath.Join(dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name = h.now().UTC().Format("20060102T150405Z") + "-" + name + ".json"
	list := hex.EncodeToString(sum[:]) + "  " + name + "\n"
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(dir, name+".sha256"), []byte(list), 0o600); err != nil {
		return err
	}
	for _, d := range []string{dir, filepath.Dir(dir), h.o.Evidence} {
		if err := state.SyncFolder(d); err != nil {
			return err
		}
	}
	h.o.Log.Info("evidence of a host is kept", "host", host, "event", id, "bytes", size)
	return nil
}

// EvidenceOf returns the files of evidence of an event that hosts handed over to the hub
// with this folder, the oldest first.
func EvidenceOf(folder, id string) []string {
	if !event.ValidID(id) {
		return nil
	}
	all, _ := filepath.Glob(filepath.Join(folder, "*", id, "*.json")) // the pattern is well formed
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	return all
}
