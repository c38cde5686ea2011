package report

import (
	"time"

	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Settings are the table [report]: the report that goes out by itself.
type Settings struct {
	Every policy.Weekly `toml:"every"` // zero: never
	Since time.Duration `toml:"since" check:"min=1h,max=3650d"`
	Mask  bool          `toml:"mask"`
	URL   string        `toml:"url"` // where the page of now is served; http or https; empty: nowhere
	// Destination are those that it goes to; none: as digests are routed.
	Destination []string `toml:"destination,one"`
}

// DefaultSettings send none.
func DefaultSettings() Settings { return Settings{Since: 7 * 24 * time.Hour} }

// maxURL is what every channel's message has room for, in characters.
const maxURL = 500

// Validate looks at the link, and at what is of a report that never goes out.
func (s *Settings) Validate(at strictoml.At) {
	if at.Has("url") && !strictoml.IsLink(s.URL, maxURL) {
		at.Fail("url", "must be a link: http:// or https://, a host, no user name, at most %d characters", maxURL).Hint = `url = "https://hub.example.com:8443/report"`
	}
	if !s.Every.Never() {
		return
	}
	for _, key := range []string{"since", "mask", "url", "destination"} {
		if at.Has(key) {
			at.Fail(key, "is of the report that every asks for").Hint = `every = "mon 08:00"`
			return
		}
	}
}
