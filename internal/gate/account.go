package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/state"
)

// Account is what the host keeps of a user's second step.
type Account struct {
	V        int      `json:"v"`
	Secret   Secret   `json:"totp,omitempty"`
	LastStep int64    `json:"last_step,omitempty"` // the last one used, of any code before it
	Recovery Recovery `json:"recovery,omitzero"`
	// Failures are wrong codes in a row, of all connections. A new code changes
	// nothing about them; a right one does (NIST SP 800-63B-4, 3.2.2).
	Failures int         `json:"failures,omitempty"`
	Locked   time.Time   `json:"locked,omitzero"`
	Sends    []time.Time `json:"sends,omitempty"` // of the last hour at most
}

// Enrolled reports whether the user can pass a second step without the network.
func (a Account) Enrolled() bool { return len(a.Secret) > 0 || len(a.Recovery.Sums) > 0 }

// accountVersion is the v of accounts that this program writes.
const accountVersion = 1

// maxAccount is more than an account can have.
const maxAccount = 64 << 10

// Vault is the folder of what the second step keeps for good: root's own, and not
// below the worker's, which could be renamed under root. Its methods may be called
// concurrently, by several processes.
type Vault struct{ dir string }

// NewVault returns the vault in a folder, which is made where it is missing.
func NewVault(dir string) *Vault { return &Vault{dir} }

// userFile is the name of a user's file: any bytes of a user's name but those of
// paths.
func userFile(user string) string { return "user-" + url.PathEscape(user) + ".json" }

// Account returns what is kept of a user; fs.ErrNotExist where nothing is.
func (v *Vault) Account(user string) (Account, error) {
	var a Account
	d, err := openOwn(v.dir)
	if err != nil {
		return a, err
	}
	defer d.Close()
	return a, readDocument(d, userFile(user), &a)
}

// Update changes what is kept of a user, who need not be known yet, unless change
// returns an error. What can't be read is an error, and stays.
func (v *Vault) Update(ctx context.Context, user string, change func(*Account) error) error {
	return update(ctx, v.dir, userFile(user), func(a *Account) error {
		if a.V > accountVersion {
			return errors.New("written by a newer sshnotify")
		}
		a.V = accountVersion
		return change(a)
	})
}

// Remove forgets a user. That nothing is known is no error.
func (v *Vault) Remove(user string) error {
	d, err := state.OwnFolder(v.dir) // root's word counts in a service's folder as well
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Remove(userFile(user))
}

// Users returns those of whom something is kept, sorted.
func (v *Vault) Users() ([]string, error) {
	files, err := os.ReadDir(v.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var users []string
	for _, f := range files {
		name, isUser := strings.CutPrefix(f.Name(), "user-")
		name, ok := strings.CutSuffix(name, ".json")
		if user, err := url.PathUnescape(name); isUser && ok && err == nil {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	return users, err
}

// Off is a time in which the gate asks nobody, because root said so.
type Off struct {
	Until time.Time `json:"until"`
	Since time.Time `json:"since"`
}

const offFile = "off.json"

// Off returns until when nobody is asked; zero: the gate asks. A clock that was set
// back does not make it longer.
func (v *Vault) Off(now time.Time) time.Time {
	var o Off
	d, err := openOwn(v.dir)
	if err != nil {
		return time.Time{}
	}
	defer d.Close()
	if readDocument(d, offFile, &o) != nil || now.Before(o.Since) || !now.Before(o.Until) {
		return time.Time{}
	}
	return o.Until
}

// SetOff turns the gate off for a time; 0: on again.
func (v *Vault) SetOff(ctx context.Context, now time.Time, d time.Duration) error {
	return update(ctx, v.dir, offFile, func(o *Off) error {
		*o = Off{Since: now.UTC(), Until: now.Add(d).UTC()}
		return nil
	})
}

// day counts what the host sends in a day.
type day struct {
	Date string `json:"date"`
	N    int    `json:"n"`
}

const dayFile = "day.json"

// SentToday returns how many codes the host has sent today.
func (v *Vault) SentToday(now time.Time) int {
	var today day
	d, err := openOwn(v.dir)
	if err != nil {
		return 0
	}
	defer d.Close()
	if readDocument(d, dayFile, &today) != nil || today.Date != now.UTC().Format(time.DateOnly) {
		return 0
	}
	return today.N
}

// errLimit means that no more may be sent now.
var errLimit = errors.New("too many codes were asked for")

// Spend takes one of the sends that a user and the host have, or returns errLimit.
func (v *Vault) Spend(ctx context.Context, user string, now time.Time, perUser Rate, perDay int) error {
	return v.spend(ctx, user, nil, now, perUser, perDay)
}

// spend is Spend. instead is counted in place of the user, and costs the host nothing;
// nil: the user is.
func (v *Vault) spend(ctx context.Context, user string, instead *Account, now time.Time, perUser Rate, perDay int) error {
	err := v.Update(ctx, user, func(a *Account) error {
		if instead != nil {
			a = instead
		}
		if !a.spend(now, perUser) {
			return errLimit
		}
		return nil
	})
	if err != nil {
		return err
	}
	return update(ctx, v.dir, dayFile, func(d *day) error {
		if today := now.UTC().Format(time.DateOnly); d.Date != today {
			*d = day{Date: today}
		}
		if d.N >= perDay {
			return errLimit
		}
		if instead == nil {
			d.N++
		}
		return nil
	})
}

// spend takes one of the sends that a user has, and reports whether there was one.
func (a *Account) spend(now time.Time, most Rate) bool {
	a.Sends = slices.DeleteFunc(a.Sends, func(t time.Time) bool { return now.Sub(t) >= most.Per || t.After(now) })
	if len(a.Sends) >= most.N {
		return false
	}
	a.Sends = append(a.Sends, now.UTC())
	return true
}

// openOwn opens a folder of the gate's, which is the effective user's alone.
func openOwn(dir string) (*state.Folder, error) {
	d, err := state.OwnFolder(dir)
	if err != nil {
		return nil, err
	}
	if !d.IsOurs() {
		d.Close()
		return nil, &fs.PathError{Op: "open", Path: dir, Err: state.ErrExposed}
	}
	return d, nil
}

func makeOwn(dir string) (*state.Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return openOwn(dir)
}

// lockPatience is how long a login waits for another one of the same user.
const lockPatience = 3 * time.Second

// update changes a document under its lock. Unlike state.Update it takes nothing
// that can't be read for empty: a counter that begins anew is what somebody who
// guesses would want.
func update[T any](ctx context.Context, dir, name string, change func(*T) error) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	d, err := makeOwn(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	unlock, err := d.Lock(ctx, strings.TrimSuffix(name, ".json")+".lock")
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
	}
	defer unlock()
	var doc T
	if err := readDocument(d, name, &doc); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := change(&doc); err != nil {
		return err
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return d.Replace(name, b, 0o600)
}

func readDocument(d *state.Folder, name string, doc any) error {
	b, err := d.ReadFile(name, maxAccount)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, doc); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
