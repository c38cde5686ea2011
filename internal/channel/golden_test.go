package channel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// goldenRows are the channels whose messages are kept, by the names of their files.
func goldenRows() map[string]httpDestination {
	all := map[string]httpDestination{"slack-bot": slackBotRow(), VoiceType: voiceRow(), "x-post": xRow(), "x-message": xDMRow(), AlertmanagerType: alertmanagerRow()}
	for _, row := range describedRows() {
		all[row.name] = row
	}
	return all
}

// goldenAlerts are those of each kind and severity, what answers or takes the place
// of something, and a stranger's words.
func goldenAlerts() map[string]event.Alert {
	all := kinds()
	receipt := event.Receipt{"channel": "C024BE91L", "ts": "1503435956.000247", "message_id": "42", "status_id": "42", "sequence_id": "7K3F", "event_id": "$42", "thread": "spaces/AAA/threads/BBB", "dedup_key": "7K3F", receiptLabels: `{"alertname":"sshnotify","host":"db1.example.com","kind":"login","severity":"high","user":"alice"}`}
	out, again, ended := all["logout"], all["repeats"], all["attack"]
	out.Parent = receipt
	again.Replaces, again.Told, again.ToldFirst = receipt, 1, again.First.Add(-time.Minute)
	attack := *ended.Event.Attack
	attack.Phase = event.PhaseEnded
	ended.Event.Attack, ended.Parent, ended.Verdict = &attack, receipt, event.Verdict{Severity: event.Low, Knowledge: event.Known}
	public := ended
	public.Parent, public.Runbook, public.Facts, public.Event.Host = nil, "", event.Facts{}, ""
	public.Event.Attack = &event.Attack{Phase: event.PhaseEnded, Note: event.Note{Public: true, Title: "214 attempts to log in from 203.0.113.7 (sshd)",
		Text: "203.0.113.7 made 214 attempts to log in by sshd from 21 Nov 2026 02:05 to 21 Nov 2026 02:15 UTC; names tried: root, (at)admin"}}
	own := alerts()["a stranger's words"]
	own.Own = event.Words{Headline: "<!here> for ops, {user}: {headline}", Text: "[wiki](https://wiki.example/{user}?ip={ip}) of {user} & co\n{body}\nRisk: {risk}"}
	all["the owner's words"] = own
	all["logout"], all["repeats"], all["attack-ended"], all["published"] = out, again, ended, public
	all["a stranger's words"] = alerts()["a stranger's words"]
	return all
}

// What is sent for each kind and severity is kept in testdata, a file a channel.
func TestGoldenMessages(t *testing.T) {
	now := regexp.MustCompile(`("endsAt": ")[^"]*`) // by the clock
	for name, row := range goldenRows() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			f := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				fmt.Fprintf(&b, "%s %s\n%s\n", r.Method, strings.TrimPrefix(r.URL.Path, secretPath), now.ReplaceAllString(legible(r.Header.Get("Content-Type"), body), "${1}LATER"))
				row.told(w, r)
			})
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			to, err := row.make(c, outbound.NewSecret(f.url+secretPath))
			if err != nil {
				t.Fatal(err)
			}
			all := goldenAlerts()
			for _, name := range slices.Sorted(maps.Keys(all)) {
				fmt.Fprintf(&b, "== %s\n", name)
				if _, err := to.Send(t.Context(), all[name]); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			golden(t, name+".golden", b.String())
		})
	}
}

// legible returns a body as people read it.
func legible(contentType string, body []byte) string {
	if form, err := url.ParseQuery(string(body)); err == nil && strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		var lines []string
		for k, v := range form {
			lines = append(lines, k+"="+strings.Join(v, ", "))
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, body, "", "  ") != nil {
		return string(body)
	}
	return pretty.String()
}
