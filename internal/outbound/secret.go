package outbound

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unique"
)

const redacted = "[redacted]"

// Secret is a string that must not be seen: a webhook URL, a key, a token.
// However it is printed, logged or marshalled, it gives "[redacted]"; only
// Reveal gives it out. The zero value is no secret. Secrets can be compared
// with ==.
type Secret struct {
	// Where a Secret is an unexported field of something, fmt calls none of the
	// methods below and prints what it finds: behind a handle that is an
	// address, in a string it would be the secret.
	handle unique.Handle[string]
}

// NewSecret hides a string.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{handle: unique.Make(s)}
}

// Reveal returns the string, for the one place that needs it.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.handle.Value()
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s == Secret{} }

// Equal reports whether two secrets are the same.
func (s Secret) Equal(o Secret) bool { return s == o }

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (s Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText returns "[redacted]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue returns "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// UnmarshalText takes a secret from a settings file. White space around it is
// no part of it.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(strings.TrimSpace(string(b)))
	return nil
}
