package fleet

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseToken(t *testing.T) {
	pin := bytes.Repeat([]byte{7}, 32)
	for _, want := range []Token{
		{Secret: "s3", CA: pin},
		{Secret: "s3", CA: pin, Name: "web1"},
		{Secret: "s3"},
	} {
		got, err := ParseToken("\n" + want.Text() + " \n")
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("ParseToken(Text()) = %v, %v", cmp.Diff(want, got), err)
		}
		if s := fmt.Sprintf("%v %s", want, want); strings.Contains(s, "s3") {
			t.Errorf("the token shows its secret: %s", s)
		}
	}
	text := func(json string) string { return tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(json)) }
	for s, want := range map[string]string{
		" \n":                 "empty",
		BearerPrefix + "s3\n": "bearer token, which nobody joins with: token_file",
	} {
		if _, err := ParseToken(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseToken(%q): %v", s, err)
		}
	}
	for name, s := range map[string]string{
		"empty":              "",
		"no prefix":          "abc",
		"a webhook":          "https://hooks.example.com/x",
		"cut short":          Token{Secret: "s3", CA: pin}.Text()[:40],
		"no secret":          text(`{"ca":"` + base64.StdEncoding.EncodeToString(pin) + `"}`),
		"half a pin":         text(`{"secret":"s3","ca":"Bwc="}`),
		"an impossible name": text(`{"secret":"s3","name":"web1.example.com"}`),
	} {
		if got, err := ParseToken(s); err == nil {
			t.Errorf("%s: ParseToken = %v, want an error", name, got)
		} else if strings.Contains(err.Error(), "s3") {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(Token{Secret: "s3", CA: make([]byte, 32), Name: "web1"}.Text())
	f.Add(tokenPrefix)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseToken(s)
		if err != nil {
			return
		}
		again, err := ParseToken(got.Text())
		if err != nil || !cmp.Equal(again, got) {
			t.Errorf("ParseToken(%q) = %v; again %v, %v", s, got, again, err)
		}
	})
}
