package cmd

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// maxKnownFile is far above what a watcher writes: 16,384 attackers of some 150
// bytes.
const maxKnownFile = 16 << 20

// attackers is the provider of what this host's watcher knows: who has attacked
// it in the last 30 days. It asks nobody, and knows nothing good of anybody.
type attackers struct {
	file string
	now  func() time.Time

	mu    sync.Mutex
	read  time.Time // when the file was looked at
	at    time.Time // the file's
	err   error     // why it could not be read
	known attack.Known
}

// newAttackers gives the provider of the watcher of the same settings.
func newAttackers(c config.Config, stateDir string) *attackers {
	return &attackers{file: filepath.Join(watchDir(c, stateDir), watch.KnownFile), now: time.Now}
}

const (
	attackersName  = "attackers"
	attackersTitle = "This host"
)

// Info implements enrich.Provider.
func (*attackers) Info() enrich.Info {
	return enrich.Info{Name: attackersName, Title: attackersTitle, Local: true}
}

// Lookup gives the risk of an address that has attacked this host; nothing for
// others.
func (p *attackers) Lookup(_ context.Context, ip netip.Addr) (event.Facts, error) {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refresh(now); err != nil {
		return event.Facts{}, err
	}
	a, ok := p.known.Lookup(ip, now)
	if !ok {
		return event.Facts{}, nil
	}
	return event.Facts{Risk: &event.Risk{
		Provider: attackersTitle, Known: true, Score: attackerScore(a.Attempts, now.Sub(a.Last)),
		Reason: fmt.Sprintf("%d failed logins here, the last on %s", a.Attempts, a.Last.UTC().Format("2 Jan 15:04 MST")),
	}}, nil
}

// attackerScore is 70 for an attack of five attempts on the day, more for more
// attempts, up to 95, and half of it after 30 days.
func attackerScore(attempts int, ago time.Duration) int {
	score := min(95, 70+4*math.Log2(max(1, float64(attempts)/5)))
	return int(math.Round(score * (1 - 0.5*min(1, max(0, ago.Hours()/(30*24))))))
}

// refresh reads the file again where it has changed, at most once a second.
func (p *attackers) refresh(now time.Time) error {
	if since := now.Sub(p.read); since < 0 || since >= time.Second {
		p.read = now
		p.err = p.load()
	}
	return p.err
}

func (p *attackers) load() error {
	info, err := os.Stat(p.file)
	if err != nil {
		p.known, p.at = attack.Known{}, time.Time{}
		return nil // nobody watches, or has seen anything
	}
	if info.ModTime().Equal(p.at) {
		return nil
	}
	if info.Size() > maxKnownFile {
		return fmt.Errorf("%s: larger than %d MiB", p.file, maxKnownFile>>20)
	}
	b, err := state.ReadFile(p.file, maxKnownFile)
	if err != nil {
		return err
	}
	known, err := attack.ReadKnown(b)
	if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	p.known, p.at = known, info.ModTime()
	return nil
}
