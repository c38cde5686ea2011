package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/store"
)

// kindNotify is the kind of document that says how logins were told when the
// worker began.
const kindNotify = "notify"

// began is that document.
type began struct {
	Known  bool `json:"known"`
	Before bool `json:"before"` // logins were told here before notify could be "auto"
	// Said: the settings said since how they are told, so that what is taken out of
	// them has its default.
	Said bool `json:"said,omitempty"`
}

// toldBefore returns how it was when the worker began. A worker keeps the answer,
// and that its settings say it.
func toldBefore(db *store.DB, c config.Config, keep bool) (began, error) {
	ctx := context.Background()
	was, err := store.Load[began](ctx, db, kindNotify, "")
	ran := deliver.RanBefore(filepath.Dir(db.Path()))
	if errors.Is(err, fs.ErrNotExist) {
		return began{Before: ran}, nil
	}
	if err != nil {
		return was, err
	}
	now := was
	if now.Known = true; !was.Known {
		if now.Before = ran; !ran {
			if now.Before, err = toldLogins(ctx, db, c.History); err != nil {
				return was, err
			}
		}
	}
	now.Said = now.Said || c.SaysWhatChanged()
	if keep && now != was {
		err = store.Update(ctx, db, kindNotify, "", func(b *began) error { *b = now; return nil })
	}
	return now, err
}

// toldLogins reports whether a worker told logins that are remembered.
func toldLogins(ctx context.Context, db *store.DB, o history.Settings) (bool, error) {
	if seen, err := history.New(db, o.Options(nil)).HasSeen(ctx); seen || err != nil {
		return seen, err
	}
	told, err := deliver.ReadDelivered(ctx, db, "", time.Time{})
	return len(told) > 0, err
}

// unknownBefore is said of an error of asBefore.
const unknownBefore = "whether logins were told before is not known, and what the settings leave unsaid stays as it was"

// asBefore returns the settings by which logins are judged here: c, or c.Before
// where they were told before notify could be "auto", which before reports, and no
// settings said since how they are told. An error leaves it as it was, too. The
// worker, replay and policy test ask it, so that they agree; a worker keeps the answer.
func asBefore(db *store.DB, c config.Config, keep bool) (now config.Config, before bool, err error) {
	was, err := toldBefore(db, c, keep)
	if err != nil || was.Before && !was.Said {
		c = c.Before()
	}
	return c, was.Before || err != nil, err
}

// kept returns the settings file in which an upgrade keeps how logins were told
// here; none where they were not, or where the settings say it or have said it.
func (s *setup) kept(now time.Time) ([]install.FileText, error) {
	if s.image() || !s.there {
		return nil, nil
	}
	// Who upgrades need not have the service's credentials.
	c, err := config.LoadWithoutSecrets(s.config)
	if err != nil {
		return nil, &settingsError{err}
	}
	text := c.UpgradedText(now)
	if text == "" {
		return nil, nil
	}
	db, err := lookInto(cmp.Or(c.StateDir, s.state))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	was, err := toldBefore(db, c, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", unknownBefore, err)
	}
	if !was.Before || was.Said {
		return nil, nil
	}
	return []install.FileText{{Path: config.UpgradedFile(s.config), Content: []byte(text)}}, nil
}

func newConfigUpgradeCmd(a *app) *cobra.Command {
	o := newChanger(a)
	c := &cobra.Command{
		Use:   "upgrade",
		Short: "Keep how logins were told before an upgrade",
		Long: long(`upgrade writes into the settings what an upgrade would change: where logins were
told before notify could be "auto", and the settings don't say notify and
notify_logout, it writes upgraded.toml beside them, which says what held until
then. What any other settings file says counts instead. Elsewhere, and the second
time, it does nothing.`,
			`A package runs it when it is upgraded, and sshnotify install does the same.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify config upgrade
  sudo sshnotify config upgrade --system && sudo systemctl reload sshnotify`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.upgradeSettings(c.Context()) },
	}
	c.Flags().BoolVar(&o.system, "system", false, "the settings of the whole host")
	return c
}

func (c *changer) upgradeSettings(ctx context.Context) error {
	s, err := c.find(nil)
	if err != nil {
		return c.hinted(err)
	}
	files, err := s.kept(time.Now())
	if err != nil {
		return err
	}
	if len(files) == 0 {
		c.say("nothing to do: an upgrade changes nothing that the settings leave unsaid")
		return nil
	}
	p, err := c.planFiles(ctx, s, files)
	if err == nil {
		_, err = c.apply(ctx, s, p)
	}
	return c.hinted(err)
}

// planFiles plans to put settings files beside those of a set-up.
func (c *changer) planFiles(ctx context.Context, s *setup, files []install.FileText) (install.Plan, error) {
	if c.system {
		return install.PlanSystemFiles(ctx, s.host, s.places(), files)
	}
	o := s.userOptions()
	o.Files = files
	return install.PlanUserFiles(ctx, s.host, o)
}

// upgradeCheck says where only the worker knows that logins are told as before an
// upgrade.
func (x examined) upgradeCheck(r *doctor.Report) {
	const name = "upgrade"
	files, err := x.kept(time.Now())
	hint := "sshnotify config upgrade"
	if x.whole {
		hint = "sudo sshnotify config upgrade --system && sudo systemctl reload sshnotify"
	}
	switch {
	case err != nil && x.broken != nil: // which another check says
	case err != nil:
		r.Warn(name, hint, "%v", err)
	case len(files) > 0:
		r.Warn(name, hint, "logins are told as before an upgrade, and the settings don't say so")
	}
}
