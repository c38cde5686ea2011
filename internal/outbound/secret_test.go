package outbound

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

const hush = "T0KEN-xyzzy-swordfish"

// shown is every way in which this program or its libraries print a value.
func shown(v any) string {
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("", "v", v)
	if err, ok := v.(error); ok {
		for ; err != nil; err = errors.Unwrap(err) {
			fmt.Fprintf(&b, "%v %+v %#v\n", err, err, err)
		}
	}
	return b.String()
}

// leaks reports which secret is in text, in clear or in hex.
func leaks(text string, secrets ...string) string {
	for _, s := range secrets {
		for _, form := range []string{s, fmt.Sprintf("%x", s), fmt.Sprintf("%X", s), fmt.Sprintf("%d", []byte(s))} {
			if strings.Contains(text, form) {
				return s
			}
		}
	}
	return ""
}

func TestNothingPrintsASecret(t *testing.T) {
	s := NewSecret(hush)
	type holder struct{ s Secret }
	request := Request{
		Method: "POST", Purpose: "test", URL: NewSecret("https://example.com/" + hush),
		Header: http.Header{"Authorization": {"Bearer " + hush}}, Body: []byte(hush),
	}
	response := Response{Status: 302, Header: http.Header{"Location": {hush}}, Body: []byte(hush)}
	for name, v := range map[string]any{
		"itself":                  s,
		"a pointer":               &s,
		"in a slice":              []Secret{s},
		"in a map":                map[string]Secret{"a": s},
		"an exported field":       struct{ S Secret }{s},
		"an unexported field":     holder{s},
		"behind a pointer":        &holder{s},
		"a request":               request,
		"a pointer to a request":  &request,
		"a response":              response,
		"a pointer to a response": &response,
		"options":                 Options{Proxy: s},
		"a client":                New(Options{Proxy: NewSecret("http://u:" + hush + "@192.0.2.1:3128")}),
		"a client that is no use": New(Options{Proxy: NewSecret("nonsense:" + hush)}),
		"an error by value":       Error{Err: &reason{"x", nil}},
	} {
		t.Run(name, func(t *testing.T) {
			if text := shown(v); leaks(text, hush) != "" {
				t.Errorf("shows the secret:\n%s", text)
			}
		})
	}
}

func TestSecretIsMarshalledRedacted(t *testing.T) {
	s := NewSecret(hush)
	b, err := json.Marshal(map[string]any{"a": s, "b": &s})
	if got, want := string(b), `{"a":"[redacted]","b":"[redacted]"}`; got != want || err != nil {
		t.Errorf("JSON: %s, %v; want %s", got, err, want)
	}
	b, err = s.MarshalText()
	if string(b) != redacted || err != nil {
		t.Errorf("text: %s, %v", b, err)
	}
}

func TestSecretGivesOutWhatItWasGiven(t *testing.T) {
	var read, none Secret
	if err := read.UnmarshalText([]byte(" " + hush + "\n")); err != nil {
		t.Fatal(err)
	}
	if read.Reveal() != hush || read != NewSecret(hush) || !read.Equal(NewSecret(hush)) || read.IsZero() {
		t.Errorf("read %q", read.Reveal())
	}
	if none.Reveal() != "" || !none.IsZero() || NewSecret("") != none || none == read {
		t.Error("the zero value is not the empty secret")
	}
}
