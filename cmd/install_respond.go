package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/respond/order"
)

// allOrders is what --respond allows that does not say what.
const allOrders = "evidence,end,lock,key,block"

// respondFlags say that the host carries out orders of its hub.
type respondFlags struct {
	allow  string // what it allows, with commas; empty: it carries none out
	caFile string // the hub's CA, from elsewhere than what the worker has
}

// check refuses what can't be; set reports which flags were given.
func (o *respondFlags) check(set func(string) bool, system bool) error {
	switch {
	case set("respond") && !system:
		return errors.New("--respond needs --system")
	case set("hub-ca") && !set("respond"):
		return errors.New("--hub-ca needs --respond")
	case set("respond") && (set("hub-listen") || set("root") || set("gate")):
		return errors.New("--respond is for a host that runs and has joined a hub")
	case !set("respond"):
		return nil
	}
	if err := order.ParseAllow(strings.Split(o.allow, ",")); err != nil {
		return fmt.Errorf("--respond: %w", err)
	}
	return nil
}

// respondFiles are the settings by which root takes orders, and the hub's CA by which it
// knows them: its own copy, which the worker can't change.
func (o *installOptions) respondFiles(s *setup) ([]install.FileText, error) {
	if o.respond.allow == "" {
		return nil, nil
	}
	if h := s.settings.Hub; !h.Host() || h.Brokered() {
		return nil, withHint(errors.New("this host hands over to no hub by https://, which alone gives orders"), "sudo sshnotify fleet join URL --token-file FILE; docs/many-hosts.md says how a hub is set up")
	}
	credentials := fleet.CredentialsIn(s.state)
	text, err := credentials.CA()
	if o.respond.caFile != "" {
		text, err = os.ReadFile(o.respond.caFile)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(errors.New("this host does not have the CA of its hub"), "sudo sshnotify fleet ca at the hub prints it; here, then: sudo sshnotify install --system --respond --hub-ca FILE")
	}
	if err != nil {
		return nil, err
	}
	ca, err := order.ParseCA(text)
	if err != nil {
		return nil, fmt.Errorf("the hub's CA: %w", err)
	}
	name := s.settings.Respond.Name
	if name == "" {
		if name, err = credentials.NameBy(ca); err != nil {
			return nil, withHint(err, "where a token is shown to the hub in place of a certificate, write name in [respond] into "+s.addedFile("respond"))
		}
	}
	place := filepath.Join(filepath.Dir(s.config), order.CAName)
	files := []install.FileText{{Path: place, Content: text}}
	if old, err := os.ReadFile(place); err == nil { // which nothing but its owner replaces
		files = nil
		had, err := order.ParseCA(old)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		if !had.Equal(ca) {
			o.warn("root trusts another CA than that: "+order.Fingerprint(had)+" stays", "if the hub has a new one: sudo rm "+place+", and this again")
			ca = had
		}
	}
	if !o.json {
		o.say("orders are taken from the hub whose CA is %s", order.Fingerprint(ca))
		o.say("  (sshnotify fleet ca at the hub says the same)")
	}
	if len(s.settings.Respond.Allow) == 0 {
		var words []string
		for _, w := range strings.Split(o.respond.allow, ",") {
			words = append(words, strconv.Quote(strings.TrimSpace(w)))
		}
		files = append(files, install.FileText{Path: s.addedFile("respond"), Content: s.addedText(
			"# What the hub may have this host do about a login: docs/respond.md\n[respond]\nallow = [" + strings.Join(words, ", ") + "]\nname = " + strconv.Quote(name) + "\n")})
	}
	return files, nil
}
