package deliver

import (
	"errors"
	"io/fs"

	"github.com/fsnotify/fsnotify"
)

// Watch returns a value whenever something may be new in one of the folders.
// Folders that are not there, or closed, are left to the slow poll. The function that it
// returns ends the watch.
func Watch(dirs []string) (<-chan struct{}, func(), error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, nil, err
	}
	for _, d := range dirs {
		// The watcher may close its own, and must not slow the others down.
		if err := w.Add(d); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return nil, nil, errors.Join(err, w.Close())
		}
	}
	changed := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case _, ok := <-w.Events:
				if !ok {
					return
				}
			case _, ok := <-w.Errors: // an overflow: something was new
				if !ok {
					return
				}
			}
			select {
			case changed <- struct{}{}:
			default: // a look is due already
			}
		}
	}()
	return changed, func() { _ = w.Close() }, nil
}
