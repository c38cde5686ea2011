package pam

import (
	"context"
	"errors"
	"os/exec"
	"testing"
)

func TestAccountName(t *testing.T) {
	const list = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
	directory := func(_ context.Context, name string) ([]byte, error) {
		switch name {
		case "carol", "CAROL", "carol@example.com", `EXAMPLE\carol`:
			return []byte("carol:*:70001:70001:Carol:/home/carol:/bin/bash\n"), nil
		case "Alice", "1000":
			return exec.Command("sh", "-c", "exit 2").Output()
		case "empty":
			return nil, nil
		}
		return nil, errors.New("killed")
	}
	for situation, c := range map[string]struct{ typed, want string }{
		"an account of the host":                     {"alice", "alice"},
		"another one that only looks like it":        {"Alice", "Alice"},
		"of a directory":                             {"carol", "carol"},
		"in capitals":                                {"CAROL", "carol"},
		"with its domain":                            {"carol@example.com", "carol"},
		"with its domain in front":                   {`EXAMPLE\carol`, "carol"},
		"a number, which getent takes for a user id": {"1000", "1000"},
		"the directory is away":                      {"dave", ""},
		"the directory says nothing":                 {"empty", ""},
	} {
		got, err := accountName(t.Context(), list, c.typed, directory)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", situation, got, err)
		}
	}
}

func TestAccountNameOfTheHost(t *testing.T) {
	for _, name := range []string{"root", "--help", "no such account"} {
		if got, err := AccountName(t.Context(), name); got != name || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
