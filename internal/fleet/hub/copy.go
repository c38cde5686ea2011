package hub

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/sshnotify/sshnotify/internal/fleet"
)

// copyTimeout bounds a copy of the database on its way.
const copyTimeout = 10 * time.Minute

// serveCopy answers a standby with the database as it is now.
func (h *Hub) serveCopy(w http.ResponseWriter, r *http.Request, c caller) error {
	if c.kind != KindStandby {
		return &refusal{403, fleet.WhyUnknown, "only a standby may have the database", 0}
	}
	if !h.copying.TryLock() {
		return busy("another standby is being served")
	}
	defer h.copying.Unlock()
	f, err := h.o.DB.Copy(r.Context())
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(copyTimeout)) // a server that can't has none
	w.Header().Set("Content-Type", "application/vnd.sqlite3")
	w.Header().Set("Content-Length", strconv.FormatInt(st.Size(), 10))
	_, _ = io.Copy(w, f) // whoever gets less than that sees it
	return nil
}
