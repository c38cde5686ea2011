package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// When somebody is asked for a second step.
const (
	Always     = "always"
	NewNetwork = "new_network"
	NewCountry = "new_country"
	NewKey     = "new_key"
	UnknownKey = "unknown_key"
	ForeignKey = "foreign_key"
	Tor        = "tor"
	Attack     = "attack"
	Score      = "score"
)

// The factors, by which somebody shows that they are who they are.
const (
	FactorTOTP     = "totp"
	FactorSlack    = "slack"
	FactorSMS      = "sms"
	FactorVoice    = "voice"
	FactorRecovery = "recovery"
	FactorEmail    = "email" // only where the settings name it: a mailbox is often open beside the key
)

// Settings are gate.toml. Only root reads it: what it holds is not the worker's.
type Settings struct {
	Gate Rules `toml:"gate"`
	// People are asked for by their numbers; none: those of the worker's settings.
	People    policy.People `toml:"person"`
	StateDir  string        `toml:"state_dir" check:"path"` // secrets and counters: root's own
	RunDir    string        `toml:"run_dir" check:"path"`   // of logins that wait for a code
	Spool     string        `toml:"spool_dir" check:"path"`
	WorkerDir string        `toml:"worker_dir" check:"path"` // the worker's state folder
}

// Rules are the table [gate].
type Rules struct {
	When           []string            `toml:"when,one" check:"oneof=always new_network new_country new_key unknown_key foreign_key tor attack score"`
	MinScore       int                 `toml:"min_score" check:"min=1,max=100"`
	Factors        []string            `toml:"factors,one" check:"oneof=totp slack sms voice recovery email"`
	CodeTTL        time.Duration       `toml:"code_ttl" check:"min=1m,max=10m"` // NIST SP 800-63B-4, 3.1.3.2: at most ten minutes
	Tries          int                 `toml:"tries" check:"min=1,max=5"`       // of a connection
	Sends          Rate                `toml:"sends"`                           // of a user
	SendsPerDay    int                 `toml:"sends_per_day" check:"min=0,max=10000"`
	LockAfter      int                 `toml:"lock_after" check:"min=3,max=100"` // NIST SP 800-63B-4, 3.2.2: at most 100
	DecideTimeout  time.Duration       `toml:"decide_timeout" check:"min=100ms,max=10s"`
	FailMode       string              `toml:"failmode" check:"oneof=secure safe"`
	Unenrolled     string              `toml:"unenrolled" check:"oneof=deny allow"`
	ExemptNetworks []netip.Prefix      `toml:"exempt_networks"`
	Twilio         *Twilio             `toml:"twilio"`
	Slack          *Slack              `toml:"slack"`
	Mail           *channel.MailServer `toml:"mail"`
	HTTP           *HTTP               `toml:"http"`
}

// DefaultSettings are those without a file.
func DefaultSettings() Settings {
	return Settings{StateDir: "/var/lib/sshnotify-gate", RunDir: "/run/sshnotify-gate", Spool: "/var/spool/sshnotify", WorkerDir: "/var/lib/sshnotify", Gate: Rules{
		When:     []string{NewNetwork, NewCountry, NewKey, UnknownKey, ForeignKey, Tor, Attack, Score},
		MinScore: 68, Factors: []string{FactorTOTP, FactorSlack, FactorSMS, FactorVoice, FactorRecovery},
		CodeTTL: 5 * time.Minute, Tries: 3, Sends: Rate{5, 15 * time.Minute}, SendsPerDay: 50, LockAfter: 10,
		DecideTimeout: time.Second, FailMode: "secure", Unenrolled: "deny",
	}}
}

// Validate looks for what would lock everybody out, or ask nobody.
func (r *Rules) Validate(at strictoml.At) {
	if slices.Contains(r.When, Always) && len(r.When) > 1 {
		at.Fail("when", `"always" stands alone`)
	}
	if at.Has("factors") && !slices.Contains(r.Factors, FactorTOTP) && !slices.Contains(r.Factors, FactorRecovery) {
		at.Fail("factors", "without totp or recovery nobody gets in while the network is down").Hint = `add "recovery"`
	}
	for _, need := range []struct {
		factor, table string
		there         bool
	}{
		{FactorSMS, "twilio", r.Twilio != nil}, {FactorVoice, "twilio", r.Twilio != nil}, {FactorSlack, "slack", r.Slack != nil}, {FactorEmail, "mail", r.Mail != nil},
	} {
		if at.Has("factors") && slices.Contains(r.Factors, need.factor) && !need.there {
			at.Fail("factors", "%s needs [gate.%s]", need.factor, need.table)
		}
	}
	for _, p := range r.ExemptNetworks {
		if hasLoopback(p) {
			at.Fail("exempt_networks", "everybody on the host comes from %s: ssh alice@localhost", p)
		}
	}
}

// hasLoopback reports whether an address of this machine's own is in a network.
func hasLoopback(p netip.Prefix) bool {
	for _, own := range []string{"127.0.0.0/8", "::1/128", "::ffff:127.0.0.0/104"} {
		if p.Overlaps(netip.MustParsePrefix(own)) {
			return true
		}
	}
	return false
}

// Twilio sends codes by SMS and says them by phone.
type Twilio struct {
	Account   string          `toml:"account,required"`
	APIKey    string          `toml:"api_key,required"`
	APISecret outbound.Secret `toml:"api_secret,required,secret"`
	From      string          `toml:"from,required"`
	Countries []string        `toml:"countries,required,one"` // calling codes: "+353"
	URL       outbound.Secret `toml:"url,secreturl"`
}

// Validate looks at the numbers and the ids.
func (t *Twilio) Validate(at strictoml.At) {
	for key, v := range map[string]struct{ value, form, must string }{
		"account": {t.Account, `^AC[0-9a-fA-F]{32}$`, "must be AC and 32 letters or digits"},
		"api_key": {t.APIKey, `^SK[0-9a-fA-F]{32}$`, "must be SK and 32 letters or digits"},
		"from":    {t.From, `^\+[1-9][0-9]{6,14}$`, `must be an international number such as "+15551234567"`},
	} {
		if ok, _ := regexp.MatchString(v.form, v.value); at.Has(key) && !ok {
			at.Fail(key, "%s", v.must)
		}
	}
	callingCode := regexp.MustCompile(`^\+[1-9][0-9]{0,3}$`)
	for i, c := range t.Countries {
		if !callingCode.MatchString(c) {
			at.Fail(fmt.Sprintf("countries.%d", i), `must be a calling code such as "+353"`)
		}
	}
	if !t.URL.IsZero() {
		if err := outbound.CheckURL(t.URL.Reveal()); err != nil {
			at.Fail("url", "%s", err)
		}
	}
}

// Slack sends codes by direct message, of a bot (scope chat:write).
type Slack struct {
	Token outbound.Secret `toml:"token,required,secret"`
	URL   outbound.Secret `toml:"url,secreturl"`
}

// Rate is so many in a time: "5/15m".
type Rate struct {
	N   int
	Per time.Duration
}

// UnmarshalText reads a rate.
func (r *Rate) UnmarshalText(text []byte) error {
	n, per, ok := strings.Cut(string(text), "/")
	count, err := strconv.Atoi(n)
	d, isTime := strictoml.ParseDuration(per)
	if !ok || err != nil || !isTime || count < 1 || count > 100 || d < time.Minute || d > time.Hour {
		return errors.New(`must be a number and a time such as "5/15m": at most 100, in a minute to an hour`)
	}
	*r = Rate{count, d}
	return nil
}
