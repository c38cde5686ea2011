package respond

import (
	"io/fs"
	"syscall"
	"time"
)

// changed returns when a file's inode was changed last, and whose it is.
func changed(info fs.FileInfo) (at time.Time, uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, 0, false
	}
	return time.Unix(st.Ctim.Unix()), int(st.Uid), true
}
