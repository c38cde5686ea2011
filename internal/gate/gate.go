// Package gate owns the second step of a login: who is asked for one, the codes
// that are sent, the codes of authenticator apps and those for the day on which the
// phone is lost, and how often somebody may try. PAM runs it as root, between sshd
// and a person who waits.
//
// It must never let anybody in because something went wrong, take a step for done
// that belongs to another connection, compare a code before the try is counted,
// send one to a number or a person that the settings do not name, show or log what
// somebody typed, or let anybody be asked who has passed no first factor.
package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Gate answers for one login. Its methods are what the lines of PAM run, each in a
// process of its own.
type Gate struct {
	Rules
	Vault   *Vault
	RunDir  string // of challenges; gone after a reboot
	Senders map[string]Sender
	// Contact returns where a factor's codes go for the user of a login: a number,
	// the id of a member of Slack, or a mail address; empty: nowhere.
	Contact func(factor string, e event.Event) string
	// Judge says what is odd about a login; it may take as long as it likes, and is
	// left alone after DecideTimeout. nil: nobody can say.
	Judge func(context.Context, event.Event) (Opinion, error)
	// Tell hands an event over. That it can't is no reason to let anybody in, nor to
	// refuse them.
	Tell func(event.Event) error
	Now  func() time.Time
	Log  *slog.Logger
}

// Opinion is what the memory and the policy say of a login.
type Opinion struct {
	Known  bool     `json:"known"` // there is a memory, and it knows this user, network and key
	Keys   []string `json:"keys"`  // of the verdict's reasons
	Score  int      `json:"score"` // of the risk; -1: no score
	Attack bool     `json:"attack"`
}

// ErrRefused is why somebody gets no further. The text is for them.
type ErrRefused struct{ Text string }

func (e *ErrRefused) Error() string { return e.Text }

func refuse(format string, args ...any) error { return &ErrRefused{fmt.Sprintf(format, args...)} }

// The texts are ASCII: sshd up to 10.2 shows them before the prompt, which is always
// "Password: ", and clients in the C locale show other characters as numbers.
const (
	textNoFactor   = "No second step is possible for this account here. Ask the administrator."
	textNoFirst    = "Refused: no first factor."
	textTrouble    = "The second step does not work at the moment. Ask the administrator."
	textNoTries    = "No tries are left on this connection."
	textLocked     = "Too many wrong codes. Use a recovery code, or ask the administrator."
	textTooMany    = "Too many codes were sent. Use your authenticator app or a recovery code, or wait."
	textNotAllowed = "This account has no second step. Ask the administrator to set one up: sshnotify gate enrol"
)

// firstFactor reports whether sshd vouches for a finished method that proves
// something: none of those that ask by PAM, which is where this runs.
func firstFactor(e event.Event) bool {
	for method := range strings.SplitSeq(e.Login.Auth.Method, ",") {
		name, _, _ := strings.Cut(method, "/")
		if slices.Contains([]string{"publickey", "password", "hostbased", "gssapi-with-mic", "gssapi-keyex"}, name) {
			return true
		}
	}
	return false
}

// Known reports whether the login needs no second step, and says so in an event
// where that is not because it is usual.
func (g *Gate) Known(ctx context.Context, e event.Event) bool {
	if !firstFactor(e) {
		return false
	}
	if until := g.Vault.Off(g.Now()); !until.IsZero() {
		g.tell(e, event.Gate{Result: event.GateOff})
		return true
	}
	if g.exempt(e) {
		g.tell(e, event.Gate{Result: event.GateExempt})
		return true
	}
	if len(g.Why(ctx, e)) == 0 {
		return true
	}
	if g.Unenrolled == "allow" && !g.enrolled(e) {
		g.tell(e, event.Gate{Result: event.GateExempt, Reason: "not enrolled"})
		return true
	}
	return false
}

// Explanation is what would become of a login.
type Explanation struct {
	Let     string   // why it is not asked; empty: it is
	Why     []string // as settings name it
	Factor  string   // by which it is asked first
	Refused string   // why it is not
}

// Explain says what would become of a login, and changes nothing.
func (g *Gate) Explain(ctx context.Context, e event.Event) (Explanation, error) {
	var x Explanation
	if until := g.Vault.Off(g.Now()); !until.IsZero() {
		x.Let = "the gate is off until " + until.UTC().Format("15:04 on 2 January") + " UTC"
		return x, nil
	}
	if g.exempt(e) {
		x.Let = "its network is exempt"
		return x, nil
	}
	if x.Why = g.Why(ctx, e); len(x.Why) == 0 {
		x.Let = "it is usual"
		return x, nil
	}
	a, err := g.Vault.Account(e.User)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return x, err
	}
	for _, f := range g.Factors {
		if x.Factor == "" && (has(a, f) || a.Locked.IsZero() && g.Senders[f] != nil && g.Contact(f, e) != "") {
			x.Factor = f
		}
	}
	switch {
	case x.Factor != "":
	case !a.Locked.IsZero():
		x.Refused = "codes are locked after too many wrong ones, and there is no recovery code"
	case g.Unenrolled == "allow":
		x.Let = "the account has no second step, and unenrolled = \"allow\""
	default:
		x.Refused = "the account has no second step"
	}
	return x, nil
}

// has reports whether an account has a factor that needs no network, and may use it.
func has(a Account, factor string) bool {
	return factor == FactorTOTP && len(a.Secret) > 0 && a.Locked.IsZero() || factor == FactorRecovery && len(a.Recovery.Sums) > 0
}

// exempt reports whether a login comes from a network that is never asked, by the
// word of sshd.
func (g *Gate) exempt(e event.Event) bool {
	ip := e.Remote.IP
	return ip.IsValid() && !ip.Unmap().IsLoopback() && !e.Has(event.FlagAddressMismatch) && !e.Has(event.FlagAddressUnverified) &&
		slices.ContainsFunc(g.ExemptNetworks, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Enrolled reports whether there is any factor for a user, whatever their key.
func (g *Gate) Enrolled(user string) bool { return g.enrolled(event.Event{User: user}) }

// enrolled reports whether there is any factor for the user, or may be: what can't be
// read is one.
func (g *Gate) enrolled(e event.Event) bool {
	a, err := g.Vault.Account(e.User)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return a.Enrolled() || slices.ContainsFunc(g.Factors, func(f string) bool { return g.Senders[f] != nil && g.Contact(f, e) != "" })
}

// Why returns why a login needs a second step, as settings name it; none: it does
// not. In doubt it does.
func (g *Gate) Why(ctx context.Context, e event.Event) []string {
	if slices.Contains(g.When, Always) {
		return []string{Always}
	}
	if g.Judge == nil {
		return []string{"no_memory"}
	}
	ctx, cancel := context.WithTimeout(ctx, g.DecideTimeout)
	defer cancel()
	o, err := g.Judge(ctx, e)
	if err != nil {
		g.Log.Warn("nobody can say whether the login is usual, and so it is asked", "user", e.User, "ip", e.Remote.IP, "error", err)
		return []string{"no_memory"}
	}
	return g.Rules.Match(e, o)
}

// Match returns which of the settings' reasons an opinion gives.
func (r Rules) Match(e event.Event, o Opinion) []string {
	var why []string
	for _, w := range r.When {
		switch {
		case w == Attack && (o.Attack || slices.Contains(o.Keys, "after_failures")),
			w == Score && o.Score >= r.MinScore,
			w != Attack && w != Score && slices.Contains(o.Keys, w):
			why = append(why, w)
		}
	}
	if slices.Contains(o.Keys, "forged_address") || slices.Contains(o.Keys, "unverified") {
		why = append(why, "unverified")
	}
	if len(why) == 0 && !o.Known && !slices.Contains(r.When, Always) {
		why = append(why, "no_memory")
	}
	return why
}

// Ask writes to w what somebody who needs a second step is to type, and sends it to
// them where they have no app. An error means that they get no further.
func (g *Gate) Ask(ctx context.Context, e event.Event, w io.Writer) error {
	if !firstFactor(e) {
		return refuse(textNoFirst)
	}
	cs := challenges{g.RunDir}
	if err := cs.sweep(g.Now()); err != nil {
		g.Log.Warn("old challenges can't be removed", "error", err)
	}
	c, err := cs.get(e.ID)
	switch {
	case err == nil:
		return g.askAgain(ctx, e, c, w)
	case !errors.Is(err, fs.ErrNotExist):
		g.Log.Error("a challenge can't be read", "error", err)
		return refuse(textTrouble)
	}
	return g.askFirst(ctx, e, w)
}

// askAgain is for the second and later tries of a connection.
func (g *Gate) askAgain(ctx context.Context, e event.Event, c Challenge, w io.Writer) error {
	left := g.Tries - c.Tries
	if c.Passed || left <= 0 {
		g.refused(ctx, e, c)
		return refuse(textNoTries)
	}
	a, err := g.Vault.Account(e.User)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return refuse(textTrouble)
	}
	if !a.Locked.IsZero() && len(a.Recovery.Sums) == 0 {
		return refuse(textLocked)
	}
	tries := "tries"
	if left == 1 {
		tries = "try"
	}
	fmt.Fprintf(w, "That code is wrong; %d %s left. %s\n", left, tries, g.prompt(c, a))
	return nil
}

// askFirst makes the challenge of a connection.
func (g *Gate) askFirst(ctx context.Context, e event.Event, w io.Writer) error {
	a, err := g.Vault.Account(e.User)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.Log.Error("the second step of a user can't be read", "user", e.User, "error", err)
		return refuse(textTrouble)
	}
	c := Challenge{User: e.User, Ref: event.Ref(e.ID), Made: g.Now().UTC()}
	var problems []error
	for _, f := range g.Factors {
		if err := g.try(ctx, e, a, f, &c); err != nil {
			g.Log.Warn("a code can't be sent", "factor", f, "user", e.User, "error", err)
			problems = append(problems, err)
		}
		if c.Factor != "" {
			break
		}
	}
	if c.Factor == "" {
		if err := g.noFactor(e, a, problems); err != nil {
			return err
		}
		c.Factor = factorNone
	}
	if err := (challenges{g.RunDir}).update(ctx, e.ID, func(old *Challenge) error {
		if old.Factor != "" {
			return errors.New("the connection is asked twice at once")
		}
		*old = c
		return nil
	}); err != nil {
		g.Log.Error("a challenge can't be kept", "error", err)
		return refuse(textTrouble)
	}
	if c.Factor != factorNone {
		g.tell(e, event.Gate{Result: event.GateAsked, Factor: c.Factor, Life: g.CodeTTL})
	}
	fmt.Fprintln(w, g.prompt(c, a))
	return nil
}

// factorNone is that of somebody who is let in because nothing else works, and the
// settings say that that is better than keeping them out.
const factorNone = "none"

// try makes a factor the challenge's, if the user has it.
func (g *Gate) try(ctx context.Context, e event.Event, a Account, factor string, c *Challenge) error {
	switch {
	case has(a, factor):
		c.Factor = factor
		return nil
	case !a.Locked.IsZero() || g.Senders[factor] == nil:
		return nil
	}
	to := g.Contact(factor, e)
	if to == "" {
		return nil
	}
	return g.send(ctx, e, factor, to, c)
}

// noFactor says why somebody can't be asked. nil: they get in all the same, where the
// settings want that; but never because of a limit, ours or a service's, or of our own
// counters: whoever has the key can use those up, or keep them busy.
func (g *Gate) noFactor(e event.Event, a Account, problems []error) error {
	among := func(what error) bool {
		return slices.ContainsFunc(problems, func(err error) bool { return errors.Is(err, what) })
	}
	reason, text := "not enrolled", textNotAllowed
	switch {
	case !a.Locked.IsZero():
		reason, text = "locked", textLocked
	case among(errLimit):
		reason, text = "too many codes", textTooMany
	case len(problems) > 0 && g.FailMode == "safe" && !among(errCounter):
		return nil
	case len(problems) > 0:
		reason, text = "no code could be sent", textTrouble
	case a.Enrolled():
		reason, text = "no factor is left", textNoFactor
	}
	g.tell(e, event.Gate{Result: event.GateRefused, Reason: reason})
	return refuse("%s", text)
}

// prompt says what is to be typed.
func (g *Gate) prompt(c Challenge, a Account) string {
	recovery := ""
	if len(a.Recovery.Sums) > 0 {
		recovery = ", or a recovery code"
	}
	where := "went to you in Slack"
	switch c.Factor {
	case FactorTOTP:
		return "Second step: type the code of your authenticator app" + recovery + "."
	case FactorRecovery:
		return "Second step: type one of your recovery codes."
	case factorNone:
		return "The second step can't be asked for at the moment, and this host lets you in without it: press Enter. It is reported."
	case FactorSMS:
		where = "went to your phone" + c.Ending
	case FactorVoice:
		where = "is told to your phone" + c.Ending
	case FactorEmail:
		where = "went to your mailbox"
	}
	return fmt.Sprintf("Second step (%s): a code %s; type it%s. It holds for %d minutes.", c.Ref, where, recovery, int(g.CodeTTL/time.Minute))
}

// ending shows which number it is to somebody who knows it.
func ending(number string) string {
	if len(number) < 6 || number[0] != '+' {
		return ""
	}
	return " (..." + number[len(number)-2:] + ")"
}

// Verify reports whether what somebody typed is the right code of this connection. A
// nil error lets them in.
func (g *Gate) Verify(ctx context.Context, e event.Event, answer string) error {
	if !firstFactor(e) {
		return refuse(textNoFirst)
	}
	code := typed(answer)
	cs := challenges{g.RunDir}
	// The try is counted before it is compared, so that a kill in between costs one.
	var c Challenge
	err := cs.update(ctx, e.ID, func(now *Challenge) error {
		switch {
		case now.Factor == "":
			return errors.New("nobody was asked")
		case now.User != e.User || now.Passed || now.Tries >= g.Tries:
			return errors.New("no try is left")
		}
		now.Tries++
		c = *now
		return nil
	})
	if err != nil {
		g.Log.Warn("a code that nobody waits for", "user", e.User, "error", err)
		return refuse(textNoTries)
	}
	if c.Factor == factorNone {
		return g.pass(ctx, e, event.Gate{Result: event.GateFailOpen, Reason: "no code could be sent"})
	}
	by, locked, err := g.compare(ctx, e, c, code)
	switch {
	case err != nil:
		g.Log.Error("the second step of a user can't be kept", "user", e.User, "error", err)
		return refuse(textTrouble)
	case by == "":
		if locked {
			g.tell(e, event.Gate{Result: event.GateLocked, Factor: c.Factor})
		}
		if c.Tries >= g.Tries {
			g.refused(ctx, e, c)
		}
		return refuse("wrong code")
	}
	return g.pass(ctx, e, event.Gate{Result: event.GatePassed, Factor: by})
}

// pass ends a challenge, once.
func (g *Gate) pass(ctx context.Context, e event.Event, result event.Gate) error {
	if err := (challenges{g.RunDir}).update(ctx, e.ID, func(now *Challenge) error {
		if now.Passed {
			return errors.New("used twice at once")
		}
		now.Passed, now.Sum, now.Salt = true, nil, nil
		return nil
	}); err != nil {
		g.Log.Error("a challenge can't be kept", "error", err)
		return refuse(textTrouble)
	}
	g.tell(e, result)
	return nil
}

// compare takes what was typed as a code that was sent, as one of an app, and as a
// recovery code, and returns the factor that it is right for. locked means that this
// try was one too many. It is counted as wrong before it is looked at.
func (g *Gate) compare(ctx context.Context, e event.Event, c Challenge, code string) (by string, locked bool, err error) {
	if code == "" { // no guess
		return "", false, nil
	}
	now, wasOpen := g.Now(), false
	err = g.Vault.Update(ctx, e.User, func(a *Account) error {
		wasOpen = a.Locked.IsZero()
		if a.Failures++; a.Failures >= g.LockAfter && a.Locked.IsZero() {
			a.Locked, locked = now.UTC(), true
		}
		return nil
	})
	if err != nil {
		return "", false, err
	}
	allowed := func(f string) bool { return slices.Contains(g.Factors, f) }
	err = g.Vault.Update(ctx, e.User, func(a *Account) error {
		switch {
		case isCode(code) && wasOpen && c.opens(code, now, g.CodeTTL):
			by = c.Factor
		case isCode(code) && wasOpen && allowed(FactorTOTP) && len(a.Secret) > 0:
			step, ok := a.Secret.Check(code, now, a.LastStep)
			if !ok {
				return errUnchanged
			}
			by, a.LastStep = FactorTOTP, step
		case allowed(FactorRecovery) && a.Recovery.Use(code):
			by = FactorRecovery
		default:
			return errUnchanged
		}
		a.Failures, a.Locked = 0, time.Time{}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		err = nil
	}
	if err != nil || by != "" {
		locked = false
	}
	return by, locked, err
}

// errUnchanged keeps a document as it is.
var errUnchanged = errors.New("unchanged")

// refused tells once that a connection has used its tries up.
func (g *Gate) refused(ctx context.Context, e event.Event, c Challenge) {
	first := false
	err := (challenges{g.RunDir}).update(ctx, e.ID, func(now *Challenge) error {
		first, now.Told = !now.Told && !now.Passed, true
		return nil
	})
	if first && err == nil {
		g.tell(e, event.Gate{Result: event.GateRefused, Factor: c.Factor, Reason: "wrong codes"})
	}
}

// send makes a code and sends it.
func (g *Gate) send(ctx context.Context, e event.Event, factor, to string, c *Challenge) error {
	if err := g.Vault.Spend(ctx, e.User, g.Now(), g.Sends, g.SendsPerDay); errors.Is(err, errLimit) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: %w", errCounter, err)
	}
	m := Message{Code: newCode(), Ref: c.Ref, User: e.User, Host: e.Host, Life: g.CodeTTL, To: to}
	if e.Remote.IP.IsValid() {
		m.From = e.Remote.IP.String()
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := g.Senders[factor].Send(ctx, m); err != nil {
		return err
	}
	c.Factor, c.Ending = factor, ending(to)
	c.sealWith(m.Code)
	return nil
}

// errCounter means that nothing was sent, because it could not be counted.
var errCounter = errors.New("the counters can't be kept")

// sendTimeout is how long somebody waits for a code to be taken: LoginGraceTime is
// two minutes.
const sendTimeout = 20 * time.Second

// tell hands over what became of a login's second step.
func (g *Gate) tell(e event.Event, body event.Gate) {
	body.Auth = e.Login.Auth
	id := e.ID
	e.Kind, e.Login, e.Gate = event.KindGate, event.Login{}, &body
	e.ID, e.Time = event.GateID(e.Session, id+"\x00"+string(body.Result)), g.Now().UTC()
	body.Challenge = id
	g.Log.Info("second step", "result", body.Result, "factor", body.Factor, "user", e.User, "ip", e.Remote.IP)
	if err := g.Tell(e); err != nil {
		g.Log.Error("an event can't be told", "result", body.Result, "user", e.User, "error", err)
	}
}
