package asked

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// apps is where an app is changed.
const apps = "https://api.slack.com/apps"

// Checks look whether those can be asked who should be, and online whether the app
// takes answers. hub: it is one that gives hosts orders.
func Checks(bot *channel.SlackBot, people policy.People, hub bool) []doctor.Check {
	app, ok := bot.App()
	if !ok {
		return nil
	}
	name := "answers " + bot.Name()
	var byID, byAddress, not []string
	for _, person := range slices.Sorted(maps.Keys(people)) {
		switch p := people[person]; {
		case p.Slack != "":
			byID = append(byID, person)
		case p.Email != "":
			byAddress = append(byAddress, person)
		default:
			not = append(not, person)
		}
	}
	return []doctor.Check{
		{Needs: doctor.NeedsSettings, Run: func(_ context.Context, r *doctor.Report) {
			const hint = `under [person.NAME] in the settings: slack = "U…" (in Slack: the profile, More, Copy member ID), or email = "…"`
			asks := slices.Concat(byID, byAddress)
			switch {
			case len(asks) == 0 && len(app.AnswersFrom) == 0:
				r.Warn(name, hint, "nobody may press a button: no person of the settings has an id of Slack or a mail address, and answers_from is empty")
			case len(app.RespondFrom) > 0 && !hub:
				r.Warn(name, "take respond_from out, or set it at the hub", "respond_from does nothing here: only a hub gives hosts orders")
			case app.Never:
				r.OK(name, "messages have buttons, and nobody is asked")
			case len(asks) == 0:
				r.Warn(name, hint, "messages have buttons, but nobody is asked whether a login was theirs")
			case len(not) > 0:
				r.Warn(name, hint, "%s can be asked whether a login was theirs; %s can't", strings.Join(asks, ", "), strings.Join(not, ", "))
			default:
				r.OK(name, "%s can be asked whether a login was theirs", strings.Join(asks, ", "))
			}
		}},
		{Needs: doctor.NeedsSettings | doctor.NeedsOnline, Run: func(ctx context.Context, r *doctor.Report) {
			name := "online " + name
			if err := app.Connects(ctx); err != nil {
				hint := "ask again later: " + r.Command("doctor --online")
				if e, ok := errors.AsType[*channel.Error](err); ok {
					hint = cmp.Or(e.Hint, hint)
				}
				r.Warn(name, hint, "Slack opens no socket for the app-level token, so that buttons do nothing: %v", err)
				return
			}
			_, scopes, err := bot.Who(ctx)
			if err != nil {
				return // as the destination's own check says
			}
			lacks := func(scope string) bool { return len(scopes) > 0 && !slices.Contains(scopes, scope) }
			add := func(scopes string) string {
				return "add " + scopes + " under OAuth & Permissions at " + apps + ", and install the app again"
			}
			switch {
			case len(byAddress) > 0 && !app.Never && lacks("users:read.email"):
				r.Warn(name, add("users:read and users:read.email")+`; or write slack = "U…" under [person.NAME]`, "%s can't be found by their mail address: the token lacks the scope users:read.email", strings.Join(byAddress, ", "))
			case !app.Never && lacks("im:write"):
				r.Warn(name, add("im:write"), "who never wrote to the app may not be asked: the token lacks the scope im:write")
			default:
				r.OK(name, "Slack opens a socket for the app-level token")
			}
		}},
	}
}
