package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestAfterFailures(t *testing.T) {
	const (
		key      = "publickey"
		password = "password"
	)
	guessed := event.Attack{Phase: event.PhaseSuccess, FromAddress: 6, OwnFailures: 6}
	bots := event.Attack{Phase: event.PhaseSuccess, AgainstUser: 4000}
	new, usual := event.Memory{Known: true}, event.Memory{Known: true, Network: event.Seen{Count: 40}, Pair: event.Pair{State: event.PairUsual}}
	office := usual
	office.HostNetwork = event.Seen{Count: 90}
	known := event.Memory{Known: true, Network: event.Seen{Count: 1}, Pair: event.Pair{State: event.PairNew}}
	young := event.Memory{Known: true, Young: true}
	for _, row := range []struct {
		name   string
		after  event.Attack
		method string
		memory event.Memory
		want   event.Severity
		text   string
	}{
		{"a password guessed from the same address", guessed, password, new, event.Critical, "got in after 6 failures from its address"},
		{"the same on a host that knows nobody yet", guessed, password, young, event.Critical, "got in after 6 failures from its address"},
		{"a forgetful owner at home, by password: nobody can tell him from a burglar there", guessed, password, usual, event.Critical, "got in after 6 failures from its address"},
		{"a usual key behind an address where somebody guesses", event.Attack{Phase: event.PhaseSuccess, FromAddress: 9}, key, usual, event.Medium,
			"got in after 9 failures for other accounts from its address, by a key that is usual from there"},
		{"a usual key behind an office's address, where a colleague mistyped", event.Attack{Phase: event.PhaseSuccess, FromAddress: 6}, key, office, event.Low,
			"got in after 6 failures for other accounts from its address, by a key that is usual from there"},
		{"and where she did so herself", guessed, key, office, event.Medium, "got in after 6 failures from its address, by a key that is usual from there"},
		{"a new key behind an office's address, where somebody mistyped", event.Attack{Phase: event.PhaseSuccess, FromAddress: 6}, key,
			event.Memory{Known: true, HostNetwork: event.Seen{Count: 90}}, event.Critical, "got in after 6 failures for other accounts from its address"},
		{"two factors, one of them a usual key", guessed, "publickey,keyboard-interactive/pam", usual, event.Medium,
			"got in after 6 failures from its address, by a key that is usual from there"},
		{"a key that came once before from there", guessed, key, known, event.Critical, "got in after 6 failures from its address"},
		{"some of the failures for others", event.Attack{Phase: event.PhaseSuccess, FromAddress: 7, OwnFailures: 2}, password, new, event.Critical,
			"got in after 7 failures from its address, 2 for alice"},
		{"three accounts from the neighbours", event.Attack{Phase: event.PhaseSuccess, FromNetwork: 4, NetworkAccounts: 3}, key, new, event.Critical,
			"got in after 4 failures for 3 accounts from its network"},
		{"what a flood may hide", event.Attack{Phase: event.PhaseSuccess, DroppedFrom: 7}, password, new, event.Critical,
			"got in after failures in a flood, some of which may be its own"},
		{"bots try the name, its owner comes by key", bots, key, usual, event.Low, ""},
		{"bots try the name, a key comes from a new place", bots, key, new, event.Low, ""},
		{"bots try the name, its owner comes by password as ever", bots, password, known, event.Low, ""},
		{"bots try the name, and a password comes from a new place", bots, password, new, event.Critical,
			"by password, from where alice never came, while others attack the account"},
		{"the same on a host that knows nobody yet", bots, password, young, event.Medium,
			"by password, from where alice never came, while others attack the account"},
		{"the same without a memory", bots, password, event.Memory{}, event.Medium,
			"by password while others attack the account; whether alice came from there before is not known"},
		{"an FTP server's user, whom no hook ever reported", bots, "ftp", new, event.Medium,
			"by password while others attack the account; whether alice came from there before is not known"},
		{"the same in a place where the watcher's word is remembered", bots, "ftp", known, event.Low, ""},
		{"the same from elsewhere, later", bots, "ftp", event.Memory{Known: true, User: event.Seen{Count: 1}}, event.Critical,
			"by password, from where alice never came, while others attack the account"},
		{"an FTP server's user whose password was guessed", guessed, "ftp", new, event.Critical, "got in after 6 failures from its address"},
	} {
		t.Run(row.name, func(t *testing.T) {
			service := ""
			if row.method == "ftp" {
				service, row.method = "vsftpd", password
			}
			e := event.Event{Kind: event.KindLogin, Service: service, User: "alice", Time: time.Unix(1e9, 0), Login: event.Login{Auth: event.Auth{Method: row.method}, After: &row.after}}
			got := afterFailures(Input{Event: e, Memory: row.memory}, e.Login.After)
			var r reason
			if len(got) > 0 {
				r = got[0]
			}
			if d := cmp.Diff([]any{row.want, row.text}, []any{r.weight, r.text}); d != "" {
				t.Error(d)
			}
			// The watcher's word alone is judged alike.
			w := row.after
			w.Auth.Method, w.Severity = row.method, event.Critical
			alone := event.Event{Kind: event.KindAttack, Service: service, User: "alice", Time: e.Time, Attack: &w}
			if v := Judge(Input{Event: alone, Memory: row.memory}, DefaultSettings()); v.Severity != row.want {
				t.Errorf("alone it is %v: %v", v.Severity, v.Reasons)
			}
		})
	}
}
