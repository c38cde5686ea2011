package policy

import "testing"

// An account is a person's by their name, or because the settings say so.
func TestForeignAccounts(t *testing.T) {
	ps := People{"alice": {Accounts: []string{"deploy", "asmith"}}, "bob": {Accounts: []string{"deploy"}}, "carol": {}}
	for _, row := range []struct {
		situation, account, owner string
		want                      bool
	}{
		{"one's own", "alice", "alice", false},
		{"one's own, in capitals", "Alice", "alice", false},
		{"another's", "bob", "alice", true},
		{"another's, by its name in the settings", "asmith", "bob", true},
		{"one's own, by its name in the settings", "asmith", "alice", false},
		{"one that two share", "deploy", "bob", false},
		{"one that two others share", "deploy", "carol", true},
		{"nobody's", "root", "alice", false},
		{"a comment that is called as an account is no person", "alice", "asmith", false},
		{"somebody who is not in the settings", "alice", "mallory", false},
	} {
		if got := ps.foreign(row.account, row.owner); got != row.want {
			t.Errorf("%s: %v", row.situation, got)
		}
	}
}
