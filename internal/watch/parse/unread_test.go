package parse

import (
	"strings"
	"testing"
)

// Forms of lines may hold what strangers wrote: there is room for so many.
func TestUnreadIsBounded(t *testing.T) {
	var u Unread
	for range 3 {
		u.Add(Result{Parser: "sshd", Unread: "Something new of 203.0.113.7"})
	}
	for i := range maxForms + 5 {
		u.Add(Result{Parser: "dropbear", Unread: "New " + strings.Repeat("x", i+1)})
	}
	forms, n := Forms(u, u)
	if n != 2*(maxForms+8) || len(forms) != maxForms || forms[0] != (Form{"sshd: Something new of #", 6}) || u.More != 6 {
		t.Errorf("%d lines, %d forms, %+v; %d more", n, len(forms), forms[0], u.More)
	}
}
