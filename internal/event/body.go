package event

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Login is the body of a login.
type Login struct {
	By   string `json:"by,omitempty"` // who became User: of sudo and su
	Auth Auth   `json:"auth,omitzero"`
	// After is what the log watcher counted before this login, where that is a
	// reason to doubt it: of phase PhaseSuccess. nil: nothing is known.
	After *Attack `json:"after,omitempty"`
	// Step is what became of the second step, where this host asks for one.
	Step Step `json:"step,omitzero"`
}

// Step is a second step as part of a login.
type Step struct {
	Result GateResult `json:"result,omitempty"`
	Factor string     `json:"factor,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// LetIn reports whether the login came about without the second step that it may have
// needed.
func (s Step) LetIn() bool {
	return s.Result == GateExempt || s.Result == GateOff || s.Result == GateFailOpen
}

// Logout is the body of a login's end.
type Logout struct {
	By string `json:"by,omitempty"` // as in Login
}

// Witness is the body of the system log's word of a session.
type Witness struct {
	By string `json:"by,omitempty"` // who opened it
	// Crowd: one of many that came at once. They are told by their number.
	Crowd bool `json:"crowd,omitempty"`
}

// Auth says how somebody proved who they are. Several methods in a row are
// joined by commas, and the key is the last one used.
type Auth struct {
	Method        string `json:"method,omitempty"`      // publickey, password, keyboard-interactive/pam, …
	KeyType       string `json:"key_type,omitempty"`    // ssh-ed25519, ssh-ed25519-cert-v01@openssh.com, …
	Fingerprint   string `json:"fingerprint,omitempty"` // SHA256:…, of the plain key, also for a certificate
	KeyID         string `json:"key_id,omitempty"`      // of a certificate
	Serial        uint64 `json:"serial,omitempty"`
	CAFingerprint string `json:"ca_fingerprint,omitempty"`
	// Info is SSH_AUTH_INFO_0 as sshd wrote it, a line for each method, of which
	// the worker reads the rest (package sshauth); a hook has no time for keys.
	Info string `json:"info,omitempty"`
}

// Gate is the body of what became of the second step of a login.
type Gate struct {
	Result    GateResult    `json:"result"`
	Challenge string        `json:"challenge"`        // the id that all events of one connection's second step share
	Factor    string        `json:"factor,omitempty"` // asked for, or passed by
	Reason    string        `json:"reason,omitempty"` // why somebody was refused, or let in
	Life      time.Duration `json:"life,omitempty"`   // of what was asked: how long a code holds
	Auth      Auth          `json:"auth,omitzero"`    // the first factor
}

// GateResult is what became of a second step.
type GateResult string

// The results.
const (
	GateAsked    GateResult = "asked"
	GatePassed   GateResult = "passed"
	GateRefused  GateResult = "refused"
	GateLocked   GateResult = "locked"    // codes of the account are, after too many wrong ones
	GateExempt   GateResult = "exempt"    // let in without: the settings exempt them
	GateOff      GateResult = "off"       // let in without: root turned the gate off
	GateFailOpen GateResult = "fail-open" // let in without: no code could be sent
)

// Note is what somebody wants told: the body of an alert, of sshnotify alert or
// of sshnotify's own troubles, and a part of other bodies.
type Note struct {
	Severity Severity `json:"severity"`
	Title    string   `json:"title,omitempty"`
	Text     string   `json:"text,omitempty"`
	// Except names a destination that must not get the event, because the note
	// is about it.
	Except string `json:"except,omitempty"`
	// Only are the destinations that the event is for; none: all.
	Only []string `json:"only,omitempty"`
	// Of is the id of the event that the note is about: a destination that has
	// threads tells it in that one's. sshnotify's own notes alone have it.
	Of string `json:"of,omitempty"`
	// Public: strangers read it, so that it names no host of ours, and links to
	// nothing of ours.
	Public bool `json:"public,omitempty"`
	// Order: the note says what became of an order of the hub's, at the host that it was
	// for; nil: it is of none.
	Order *Ordered `json:"order,omitempty"`
	// Code is what somebody typed in the session that the event names, to confirm that
	// its login was theirs. Such an event is told to nobody. sshnotify's own alone have it.
	Code string `json:"code,omitempty"`
}

// Ordered is what became of an order of a hub's, or of one of its actions.
type Ordered struct {
	Nonce  string `json:"nonce"`            // which order
	Action string `json:"action,omitempty"` // empty: all of it, and nothing comes after it
	Became string `json:"became"`           // as respond.Outcome has it
}

// Match is the body of a line that a pattern of the settings matched.
type Match struct {
	Pattern string `json:"pattern"`
	Note
}

// Phase says what happened to an attack.
type Phase string

// The phases.
const (
	PhaseBegun   Phase = "begun"
	PhaseEnded   Phase = "ended"         // nothing came for the detector's window
	PhaseSuccess Phase = "success-after" // somebody got in after failures of the same source, or by password into an account under attack
	PhaseFlooded Phase = "flooded"       // more came than could be counted
)

// Attack is the body of an attack: what the watcher counted. Where the note has
// a title, it is told in the note's words: a report for strangers, and what
// sshnotify stored as words before version 2.
type Attack struct {
	Note
	Phase    Phase        `json:"phase,omitempty"`
	Detector string       `json:"detector,omitempty"` // that found it
	By       string       `json:"by,omitempty"`       // what the detector counts by: address, network or user
	Network  netip.Prefix `json:"network,omitzero"`   // by network: who
	Auth     Auth         `json:"auth,omitzero"`      // of who got in

	// Attempts were made in the attack.
	Attempts int       `json:"attempts,omitempty"`
	First    time.Time `json:"first,omitzero"` // of the attempts
	Last     time.Time `json:"last,omitzero"`

	// Of who got in, the failures of the day before, in which refused keys do not
	// count: from the address (IPv6: its /64), those of them for the account itself, and
	// from the /24 (/48), where they were for several accounts of this host. Against
	// the account are all that others made, where it is being attacked. Dropped are
	// as many as at most were given up in a flood.
	FromAddress     int `json:"from_address,omitempty"`
	OwnFailures     int `json:"own_failures,omitempty"`
	FromNetwork     int `json:"from_network,omitempty"`
	NetworkAccounts int `json:"network_accounts,omitempty"`
	AgainstUser     int `json:"against_user,omitempty"`
	DroppedFrom     int `json:"dropped_from,omitempty"`
	DroppedAgainst  int `json:"dropped_against,omitempty"`

	Names     Tally `json:"names,omitzero"`     // accounts that were tried
	Addresses Tally `json:"addresses,omitzero"` // where from
	Services  Tally `json:"services,omitzero"`
	Flood     Flood `json:"flood,omitzero"`
}

// GotIn reports whether a watcher saw somebody get in after failures.
func (e *Event) GotIn() bool {
	return e.Kind == KindAttack && e.Attack != nil && e.Attack.Phase == PhaseSuccess && e.Attack.Title == ""
}

// Hooked reports whether a login hook reports the logins of an event's service. FTP
// servers and dropbear have none.
func (e *Event) Hooked() bool { return e.Service == "" || e.Service == "sshd" }

// OwnSource reports whether whoever got in had failed before from the same
// source, or may have: else others attack the account.
func (a *Attack) OwnSource() bool { return a.FromAddress+a.NetworkAccounts+a.DroppedFrom > 0 }

// Tally is a list of the most frequent, the most frequent first.
type Tally struct {
	Most []Count `json:"most,omitempty"`
	// Rest is how many attempts had another name than those of Most. A count in
	// Most may be too low by part of it, never too high.
	Rest int `json:"rest,omitempty"`
}

// Count is a name and how many attempts bore it.
type Count struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

// Flood is what a watcher gave up because more came than memory is kept for.
type Flood struct {
	First     time.Time `json:"first,omitzero"` // by the events' clock
	Last      time.Time `json:"last,omitzero"`
	Addresses Lost      `json:"addresses"` // of IPv6: networks of /64
	Networks  Lost      `json:"networks"`  // where a detector counts by them
	Accounts  Lost      `json:"accounts"`  // most of whose attempts are those of Addresses too
}

// Lost is how many different addresses, networks or accounts there were, about
// from some hundred thousand on, and how many attempts.
type Lost struct {
	N        int `json:"n"`
	Attempts int `json:"attempts"`
}

// Note returns what the event's body wants told: nil where it has no such part.
func (e *Event) Note() *Note {
	switch {
	case e.Kind == KindAlert:
		return e.Alert
	case e.Kind == KindMatch && e.Match != nil:
		return &e.Match.Note
	case e.Kind == KindAttack && e.Attack != nil:
		return &e.Attack.Note
	}
	return nil
}

// Auth returns how whoever got in proved who they are; zero where nobody did.
func (e *Event) Auth() Auth {
	switch {
	case e.Kind == KindAttack && e.Attack != nil:
		return e.Attack.Auth
	case e.Kind == KindGate && e.Gate != nil:
		return e.Gate.Auth
	}
	return e.Login.Auth
}

// By returns who became User, of sudo and su.
func (e *Event) By() string {
	switch e.Kind {
	case KindLogout:
		return e.Logout.By
	case KindWitness:
		return e.Witness.By
	}
	return e.Login.By
}

// Testimony returns what a witness may say: that the system log tells of a
// session. Whatever else it holds would be told, and believed, as if a hook had
// said it.
func (e Event) Testimony() Event {
	return Event{
		V: e.V, ID: e.ID, Kind: KindWitness, Time: e.Time, Host: e.Host, Labels: e.Labels,
		User: e.User, Service: e.Service, Via: e.Via, Session: Session{PID: e.Session.PID}, Witness: Witness{By: e.Witness.By},
	}
}

// Witnessed reports whether a PAM service is one of those by which somebody
// gets in, or becomes another user, so that its sessions have witnesses.
func Witnessed(service string) bool {
	return Became(service) || service == "sshd" || service == "login" || service == "remote"
}

// Became reports whether a PAM service is one of those by which somebody on the
// host becomes another user.
func Became(service string) bool {
	switch service {
	case "su", "su-l", "sudo", "sudo-i":
		return true
	}
	return false
}

// How much of a body is kept: as much as one message can show, and as fits
// MaxSize.
const (
	maxNames     = 8  // of an attack's tallies
	maxAddresses = 20 // as many as the watcher counts
	maxServices  = 4
	maxTallyName = 64 // characters of each
	maxCode      = 16 // characters
)

// normalizeBody cleans the body of the event's kind, and drops any other. It
// changes nothing that another event may share.
func (e *Event) normalizeBody() {
	login, logout, witness, attack, match, alert, digest, gate := e.Login, e.Logout, e.Witness, e.Attack, e.Match, e.Alert, e.Digest, e.Gate
	e.Login, e.Logout, e.Witness, e.Attack, e.Match, e.Alert, e.Digest, e.Gate = Login{}, Logout{}, Witness{}, nil, nil, nil, nil, nil
	switch {
	case e.Kind == KindLogin:
		e.Login = Login{By: Clean(login.By, maxUser), Auth: login.Auth.Cleaned(), Step: Step{
			GateResult(Clean(string(login.Step.Result), 16)), Clean(login.Step.Factor, 16), Clean(login.Step.Reason, maxWord),
		}}
		if login.After != nil {
			a := login.After.normalized()
			e.Login.After = &a
		}
	case e.Kind == KindLogout:
		e.Logout.By = Clean(logout.By, maxUser)
	case e.Kind == KindWitness:
		e.Witness = Witness{By: Clean(witness.By, maxUser), Crowd: witness.Crowd}
	case e.Kind == KindAttack && attack != nil:
		a := attack.normalized()
		e.Attack = &a
	case e.Kind == KindMatch && match != nil:
		e.Match = &Match{Pattern: Clean(match.Pattern, maxWord), Note: match.Note.normalized()}
	case e.Kind == KindAlert && alert != nil:
		n := alert.normalized()
		e.Alert = &n
	case e.Kind == KindDigest && digest != nil:
		d := digest.normalized()
		e.Digest = &d
	case e.Kind == KindGate && gate != nil:
		e.Gate = &Gate{
			Result: GateResult(Clean(string(gate.Result), 16)), Challenge: Clean(gate.Challenge, IDLength), Factor: Clean(gate.Factor, 16),
			Reason: Clean(gate.Reason, maxWord), Life: gate.Life, Auth: gate.Auth.Cleaned(),
		}
	}
}

// Cleaned returns how somebody authenticated as it may be stored and told.
func (a Auth) Cleaned() Auth {
	for _, s := range []*string{&a.Method, &a.KeyType, &a.Fingerprint, &a.CAFingerprint} {
		*s = Clean(*s, maxWord)
	}
	a.KeyID = Clean(a.KeyID, maxKeyID)
	a.Info = cleanAuthInfo(a.Info)
	return a
}

func (n Note) normalized() Note {
	n.Title = Clean(n.Title, maxTitle)
	n.Text = Clean(strings.TrimSpace(n.Text), maxText)
	n.Except = Clean(n.Except, maxWord)
	n.Of = Clean(n.Of, IDLength)
	n.Code = Clean(n.Code, maxCode)
	n.Only = slices.Clone(n.Only[:min(len(n.Only), 16)])
	for i := range n.Only {
		n.Only[i] = Clean(n.Only[i], maxWord)
	}
	if o := n.Order; o != nil {
		n.Order = &Ordered{Clean(o.Nonce, 32), Clean(o.Action, 16), Clean(o.Became, 16)}
	}
	return n
}

func (a Attack) normalized() Attack {
	a.Note = a.Note.normalized()
	a.Phase, a.Detector, a.By = Phase(Clean(string(a.Phase), 16)), Clean(a.Detector, maxTallyName), Clean(a.By, 16)
	a.Auth.Info = "" // no log has it
	a.Auth = a.Auth.Cleaned()
	if a.Text != "" { // it is told in these words, and there is no room for both
		a.Names, a.Addresses, a.Services = Tally{}, Tally{}, Tally{}
	}
	a.Names, a.Addresses, a.Services = a.Names.normalized(maxNames), a.Addresses.normalized(maxAddresses), a.Services.normalized(maxServices)
	return a
}

// normalized returns the most frequent of a tally, and counts the others with
// the rest.
func (t Tally) normalized(most int) Tally {
	out := Tally{Rest: max(0, t.Rest)}
	for i, c := range t.Most {
		if i < most {
			out.Most = append(out.Most, Count{Clean(c.Name, maxTallyName), max(0, c.N)})
		} else {
			out.Rest += max(0, c.N)
		}
	}
	return out
}
