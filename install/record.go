package install

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
)

// record is what was put in, kept so that uninstalling takes out just that.
// It is a JSON file that only its owner can read: what was replaced may be
// secret.
type record struct {
	V     int    `json:"v"`
	Items []item `json:"items"`
}

// kind says what an item of the record is.
type kind string

const (
	kindFile    kind = "file"    // a whole file
	kindEdit    kind = "edit"    // a block or a line in a file of its owner's
	kindFolder  kind = "folder"  // a folder
	kindLink    kind = "link"    // a symbolic link; Name is its target
	kindUser    kind = "user"    // a user, and the group of that name
	kindSELinux kind = "selinux" // a loaded policy module
)

// item is one thing that was put in.
type item struct {
	Kind kind   `json:"kind"`
	Path string `json:"path,omitempty"`
	Name string `json:"name,omitempty"` // of a user or module, or what a folder is for
	// Created: it was not there before.
	Created bool `json:"created,omitempty"`
	// SHA256 of a whole file as it was put in: one that has another is its
	// owner's by now.
	SHA256 string `json:"sha256,omitempty"`
	// Before is what the file replaced, where Created is false, with its mode.
	Before []byte      `json:"before,omitempty"`
	Mode   fs.FileMode `json:"mode,omitempty"`
	// Purge: it holds the owner's settings or data and goes only on purge.
	Purge bool `json:"purge,omitempty"`
}

// maxBefore bounds the replaced content that is kept: a settings file fits, a
// program does not.
const maxBefore = 1 << 20

const recordVersion = 1

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func (r record) find(k kind, path string) (item, bool) {
	i := slices.IndexFunc(r.Items, func(it item) bool { return it.Kind == k && it.Path == path })
	if i < 0 {
		return item{}, false
	}
	return r.Items[i], true
}

func (r record) findName(k kind, name string) (item, bool) {
	i := slices.IndexFunc(r.Items, func(it item) bool { return it.Kind == k && it.Name == name })
	if i < 0 {
		return item{}, false
	}
	return r.Items[i], true
}

// set replaces the item of that kind, path and name, or adds it.
func (r *record) set(it item) {
	for i, old := range r.Items {
		if old.Kind == it.Kind && old.Path == it.Path && old.Name == it.Name {
			r.Items[i] = it
			return
		}
	}
	r.Items = append(r.Items, it)
}

func (r *record) drop(it item) {
	r.Items = slices.DeleteFunc(r.Items, func(o item) bool {
		return o.Kind == it.Kind && o.Path == it.Path && o.Name == it.Name
	})
}

func (r record) bytes() ([]byte, error) {
	r.V = recordVersion
	b, err := json.MarshalIndent(r, "", " ")
	return append(b, '\n'), err
}

// loadRecord reads a record. None is an empty one. One that somebody else can
// write is an error, because files are taken away by what it says.
func (h Host) loadRecord(p string) (record, error) {
	f, err := h.read(p)
	if err != nil || !f.exists {
		return record{}, err
	}
	if f.uid != h.UID || f.mode&0o022 != 0 {
		return record{}, fmt.Errorf("%s: can be written by others than %s", f.path, h.userName(h.UID))
	}
	var r record
	if err := json.Unmarshal(f.data, &r); err != nil {
		return record{}, fmt.Errorf("%s: %w", f.path, err)
	}
	if r.V > recordVersion {
		return record{}, fmt.Errorf("%s: written by a newer sshnotify", f.path)
	}
	return r, nil
}
