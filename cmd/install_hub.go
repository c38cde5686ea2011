package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// hubFlags say that the host hands over to a hub, or is one.
type hubFlags struct {
	url       string // of the hub
	tokenFile string
	listen    string // at the hub
	names     []string

	token *fleet.Token // of tokenFile; nil: none was given
}

// check refuses flags that contradict each other; set reports which were given.
func (o *hubFlags) check(set func(string) bool, system bool) error {
	for _, name := range []string{"hub", "hub-listen"} {
		if set(name) && !system {
			return fmt.Errorf("--%s needs --system", name)
		}
	}
	for _, pair := range [][2]string{
		{"hub", "hub-listen"}, {"hub", "webhook-url"}, {"hub", "webhook-url-file"}, {"hub", "notify"}, {"hub", "test"}, {"hub", "root"},
	} {
		if set(pair[0]) && set(pair[1]) {
			return fmt.Errorf("--%s and --%s are mutually exclusive", pair[0], pair[1])
		}
	}
	switch {
	case set("token-file") && !set("hub"):
		return errors.New("--token-file needs --hub")
	case set("hub-name") && !set("hub-listen"):
		return errors.New("--hub-name needs --hub-listen")
	case !set("hub") && !set("hub-listen"):
		return nil
	case set("hub") && !strings.HasPrefix(o.url, "https://"):
		return withHint(errors.New("--hub: must be the hub's address: https:// and a host"), "for NATS between, write the settings: docs/nats.md")
	}
	var t struct {
		Hub fleet.Settings `toml:"hub"`
	}
	if err := strictoml.Unmarshal("", []byte(o.text()), &t); err != nil {
		all := strictoml.Errors(err)
		if len(all) == 0 {
			return err
		}
		flag := map[string]string{"hub.url": "hub", "hub.listen": "hub-listen"}[all[0].Key]
		if flag == "" {
			flag = "hub-name"
		}
		return withHint(fmt.Errorf("--%s: %s", flag, all[0].Message), all[0].Hint)
	}
	return nil
}

// text is the table of the settings.
func (o *hubFlags) text() string {
	if o.url != "" {
		return "[hub]\nurl = " + strconv.Quote(o.url) + "\n"
	}
	text := "[hub]\nlisten = " + strconv.Quote(o.listen) + "\n"
	if len(o.names) > 0 {
		quoted := make([]string, len(o.names))
		for i, n := range o.names {
			quoted[i] = strconv.Quote(n)
		}
		text += "names = [" + strings.Join(quoted, ", ") + "]\n"
	}
	return text
}

// saidHub warns where the settings say something else of a hub, which stays.
func (o *installOptions) saidHub(s *setup) {
	now := s.settings.Hub
	if !now.Host() && !now.Hub() {
		return
	}
	if o.hub.url != "" && now.URL != o.hub.url || o.hub.listen != "" && (now.Listen != o.hub.listen || len(o.hub.names) > 0 && !slices.Equal(now.Names, o.hub.names)) {
		o.warn("the settings say who the hub is, and stay as they are", "[hub] in "+s.addedFile("hub")+", or in another file of the settings")
	}
}

// hubFiles are the settings of a hub's host, or of a hub, where they say nothing of
// it yet.
func (o *installOptions) hubFiles(s *setup) []install.FileText {
	if o.hub.url == "" && o.hub.listen == "" || s.settings.Hub.Host() || s.settings.Hub.Hub() {
		return nil
	}
	return []install.FileText{{Path: s.addedFile("hub"), Content: s.addedText(o.hub.text())}}
}

// readToken reads the token to join with, where one is given, and refuses to go on
// without one where it is needed.
func (o *installOptions) readToken(ctx context.Context, s *setup, q *prompter) error {
	// A host that has joined needs none, and who set it up may have removed the file.
	if o.hub.url == "" || o.dryRun || o.joined(s) {
		return nil
	}
	if o.hub.tokenFile == "" {
		if !s.settings.Hub.Token.IsZero() {
			return nil
		}
		hint := "sudo sshnotify fleet token, at the hub, prints one: sshnotify install --system --hub URL --token-file FILE (or - for standard input)"
		if q == nil {
			return &usageError{withHint(errors.New("no token to join the hub with, and nobody to ask"), hint)}
		}
		text, err := q.secret(ctx, "Token to join with (sudo sshnotify fleet token, at the hub, prints one): ")
		if err != nil {
			return err
		}
		return o.setToken(text)
	}
	b, err := o.readSecret(ctx, o.hub.tokenFile, "Token")
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	return o.setToken(string(b))
}

func (o *installOptions) setToken(text string) error {
	t, err := fleet.ParseToken(text)
	if err != nil {
		return &usageError{withHint(fmt.Errorf("--token-file: %w", err), "sudo sshnotify fleet token, at the hub, prints one")}
	}
	o.hub.token = &t
	return nil
}

// joined reports whether the host has a certificate to show a hub.
func (o *installOptions) joined(s *setup) bool {
	_, err := fleet.CredentialsIn(s.state).Certificate()
	return !errors.Is(err, fleet.ErrNotJoined)
}

// handsOver reports whether the host is, or becomes, one that hands over to a hub.
func (o *installOptions) handsOver(s *setup) bool {
	return o.hub.url != "" || s.settings.Hub.Host()
}

// joinHub joins the hub, once the service's user is there to own the key, and returns
// the host's name at it. A host that has joined stays as it is.
func (o *installOptions) joinHub(ctx context.Context, s *setup) (name string, err error) {
	switch {
	case o.hub.url == "":
		return "", nil
	case o.hub.token == nil: // it has joined, or goes by a token of the settings
		if o.hub.tokenFile != "" {
			o.say("this host has joined a hub already: the token is not used")
		}
		return "", nil
	}
	join := fleetJoinOptions{changer: o.changer, url: o.hub.url}
	if name, err = join.joinAs(ctx, s, s.settings, *o.hub.token); err != nil {
		return "", withHint(fmt.Errorf("the host is set up, and has not joined the hub: %w", err), append(o.app.hints(err), "what comes waits in the queue until it has; the same command again joins it")...)
	}
	o.say("joined %s as %s", o.hub.url, name)
	if err := install.Reload(ctx, s.host); err != nil {
		o.warn("the service hands over once it tries again: "+err.Error(), "sudo systemctl reload sshnotify")
	}
	return name, nil
}
