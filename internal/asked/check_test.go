package asked

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/standin"
)

func TestChecks(t *testing.T) {
	byID, byAddress := policy.People{"alice": {Slack: alice}}, policy.People{"bob": {Email: "bob@example.com"}}
	for _, tc := range []struct {
		name   string
		o      standin.SlackAppOptions
		s      channel.Slack
		people policy.People
		want   []string // state, words and hint of each result
	}{
		{"all is well", standin.SlackAppOptions{}, channel.Slack{}, byID, []string{"ok alice can be asked", "ok Slack opens a socket"}},
		{"somebody has no address", standin.SlackAppOptions{}, channel.Slack{}, policy.People{"alice": {Slack: alice}, "dave": {}}, []string{"warn alice can be asked whether a login was theirs; dave can't | under [person.NAME]", "ok"}},
		{"nobody has", standin.SlackAppOptions{}, channel.Slack{}, nil, []string{"warn nobody may press a button", "ok"}},
		{"nobody has, and somebody may press", standin.SlackAppOptions{}, channel.Slack{AnswersFrom: []string{carol}}, nil, []string{"warn messages have buttons, but nobody is asked", "ok"}},
		{"somebody may respond, and this is no hub", standin.SlackAppOptions{}, channel.Slack{RespondFrom: []string{carol}}, byID, []string{"warn respond_from does nothing here | set it at the hub", "ok"}},
		{"nobody is to be asked", standin.SlackAppOptions{}, channel.Slack{Ask: channel.AskNever}, byID, []string{"ok messages have buttons, and nobody is asked", "ok"}},
		{"a token of another sort", standin.SlackAppOptions{}, channel.Slack{AppToken: outbound.NewSecret(standin.SlackBotToken)}, byID, []string{"ok", "warn Slack opens no socket | make an app-level token"}},
		{"a token of nobody's", standin.SlackAppOptions{}, channel.Slack{AppToken: outbound.NewSecret("xapp-swordfish")}, byID, []string{"ok", "warn Slack opens no socket | make an app-level token"}},
		{"no scope to find people", standin.SlackAppOptions{Scopes: []string{"chat:write", "im:write"}}, channel.Slack{}, byAddress, []string{"ok bob", "warn bob can't be found by their mail address | add users:read and users:read.email"}},
		{"no scope to begin a conversation", standin.SlackAppOptions{Scopes: []string{"chat:write"}}, channel.Slack{}, byID, []string{"ok", "warn who never wrote to the app | add im:write"}},
		{"the app may not", standin.SlackAppOptions{Behave: func(method string, _ int) *standin.Answer {
			if method == "apps.connections.open" {
				return &standin.Answer{Status: http.StatusOK, Body: `{"ok":false,"error":"access_denied"}`}
			}
			return nil
		}}, channel.Slack{}, byID, []string{"ok", "warn Slack opens no socket | see whether Socket Mode"}},
		{"Slack is away", standin.SlackAppOptions{Behave: func(string, int) *standin.Answer { return &standin.Answer{Status: http.StatusBadGateway} }}, channel.Slack{}, byID, []string{"ok", "warn Slack opens no socket | ask again later: sshnotify doctor --online"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			slack, err := standin.StartSlackApp(tc.o)
			if err != nil {
				t.Fatal(err)
			}
			defer slack.Close()
			client := outbound.New(outbound.Options{})
			defer client.CloseIdleConnections()
			tc.s.Token, tc.s.Channel, tc.s.API = outbound.NewSecret(standin.SlackBotToken), "#alerts", slack.URL()
			if tc.s.AppToken.IsZero() {
				tc.s.AppToken = outbound.NewSecret(standin.SlackAppToken)
			}
			bot, err := tc.s.Open("slack", channel.Env{Client: client})
			if err != nil {
				t.Fatal(err)
			}
			r := doctor.Run(t.Context(), doctor.Target{Settings: true, Online: true}, Checks(bot.(*channel.SlackBot), tc.people, false))
			if len(r.Results) != len(tc.want) {
				t.Fatalf("%+v", r.Results)
			}
			for i, got := range r.Results {
				want, hint, _ := strings.Cut(tc.want[i], " | ")
				if said := fmt.Sprint(got.State, " ", got.Message); !strings.HasPrefix(said, want) || !strings.Contains(got.Hint, hint) || strings.Contains(said+got.Hint, "swordfish") {
					t.Errorf("got %q, hint %q; want %q", said, got.Hint, tc.want[i])
				}
			}
			if open, _, _ := slack.Sockets(); open != 0 {
				t.Error("doctor opened a socket")
			}
		})
	}
}
