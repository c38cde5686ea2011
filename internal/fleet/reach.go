package fleet

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

// Reach asks the hub whether it lets this host in, hands nothing over, and returns
// how far ahead of this machine's clock the hub's is. Its errors are *Error.
func (h *HTTPS) Reach(ctx context.Context) (ahead time.Duration, err error) {
	if h.broken != nil {
		return 0, &Error{Class: Refused, Err: h.broken}
	}
	header := http.Header{}
	if !h.o.Token.IsZero() {
		header.Set("Authorization", "Bearer "+h.o.Token.Reveal())
	} else if _, err := h.o.Credentials.Certificate(); err != nil {
		return 0, &Error{Class: Refused, Err: err, Hint: joinHint}
	}
	r, err := h.client.Do(ctx, outbound.Request{
		Method: http.MethodPost, Purpose: "the hub", URL: outbound.NewSecret(strings.TrimSuffix(h.o.URL, "/") + PathEvents), Header: header,
	})
	if err != nil {
		return 0, h.unreachable(ctx, err)
	}
	// What has no numbering is no batch, as is said only to who is let in.
	if r.Status != http.StatusBadRequest || r.Header.Get(HeaderWhy) == "" {
		return 0, refused(r, time.Now())
	}
	if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		ahead = at.Sub(time.Now().Truncate(time.Second))
	}
	return ahead, nil
}
