package publish

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"
)

// The files of a folder.
const (
	PageName = "index.html"
	FeedName = "feed.json"
)

// Write replaces index.html and feed.json in a folder, each as a whole, so that
// everybody can read them. It makes the folder, but none above it. What is shown
// is of the seven days before now, by the last attempt: 5,000 entries at most,
// the newest first, and nothing but public addresses.
func Write(dir string, entries []Entry, now time.Time) error {
	entries = shown(entries, now)
	data, err := feed(entries, now)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// The feed first: the page leads to it.
	if err := replace(filepath.Join(dir, FeedName), data); err != nil {
		return err
	}
	return replace(filepath.Join(dir, PageName), page(entries, now))
}

// replace does not go by the umask: a web server is another user.
func replace(path string, data []byte) error {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o644))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

func shown(entries []Entry, now time.Time) []Entry {
	var all []Entry
	for _, e := range entries {
		if e = e.clean(); isPublic(e.IP) && now.Sub(e.Last) < kept {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int {
		return cmp.Or(b.Last.Compare(a.Last), a.IP.Compare(b.IP))
	})
	return all[:min(len(all), maxEntries)]
}
