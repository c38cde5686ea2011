package spool

import (
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// The names of the folders and of the worker's own files, which List does not
// show because they begin with a dot.
const (
	tmpName     = "tmp"
	newName     = "new"
	curName     = "cur"
	failedName  = "failed"
	lockName    = ".lock"
	tempPrefix  = ".tmp-" // in cur/, of the worker
	troubleName = ".trouble"
	whyPrefix   = ".why-" // in failed/: why the file of that name is there
	// refusedPrefix begins the names of foreign files in failed/; their ids follow.
	refusedPrefix = "foreign-"
)

// maxName is the length in bytes of the longest name. The file systems' own
// limit is 255; encrypted homes have 143.
const maxName = 80

// ValidName reports whether name can be that of a file in the spool: 1 to 80
// of A-Z, a-z, 0-9, dot, underscore and hyphen, and no leading dot.
func ValidName(name string) bool {
	if name == "" || len(name) > maxName || name[0] == '.' {
		return false
	}
	for i := range len(name) {
		if !plain(name[i]) {
			return false
		}
	}
	return true
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '.' || c == '_' || c == '-'
}

// Claimable reports whether a worker takes a file of this name from new/: an
// event, ID.json, or a request to the worker, req-*.req.
func Claimable(name string) bool {
	if !ValidName(name) {
		return false
	}
	id, ok := strings.CutSuffix(name, ".json")
	return ok && event.ValidID(id) || isRequest(name)
}

func isRequest(name string) bool {
	middle, ok := strings.CutPrefix(name, "req-")
	middle, isReq := strings.CutSuffix(middle, ".req")
	return ok && isReq && middle != ""
}

// tame makes a valid name out of any, for a foreign file that is kept.
func tame(name string) string {
	b := []byte(name[:min(len(name), 40)])
	for i, c := range b {
		if !plain(c) {
			b[i] = '_'
		}
	}
	return string(b)
}
