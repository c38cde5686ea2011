package fleet

import (
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Settings are the table [hub]: of a host that hands over to a hub, which has url,
// or of the hub itself, which has listen.
type Settings struct {
	// URL is the hub's: https://. With nats:// or tls:// it is a list of brokers with
	// commas between, of which the hub takes what hosts publish: see Broker.
	URL string `toml:"url"`
	// Name is that of a host at the brokers: its rights are for subjects with it. Empty:
	// the first label of the host's name.
	Name string `toml:"name"`
	// Token lets a host in that comes through a proxy, in place of a certificate.
	Token outbound.Secret `toml:"token,secret"`
	// Standby has this host keep a copy of the hub's database, to take over with.
	Standby bool `toml:"standby"`
	// AloneAfter is how long the hub may be away before this host tells high and
	// critical by destinations of its own; 0: it never does.
	AloneAfter time.Duration `toml:"alert_alone" check:"min=1m,max=7d"`

	// Listen is where the hub serves hosts, an address and a port.
	Listen string `toml:"listen"`
	// Names are those by which hosts call the hub, for the certificate that it makes
	// for itself.
	Names []string `toml:"names" each:"line=253"`
	// CertFile and KeyFile are a certificate of the owner's, in place of that.
	CertFile string `toml:"cert_file" check:"file"`
	KeyFile  string `toml:"key_file" check:"file"`
	// NATS are the brokers that the hub takes events of, as in URL.
	NATS string `toml:"nats"`
	// CredentialsFile is the seed of an nkey, or a user's JWT and seed as "nsc" writes
	// them: of a host or the hub. It is read anew at each connection.
	CredentialsFile string `toml:"credentials_file" check:"file"`
	// CAFile is trusted for the brokers, in place of the system's certificates.
	CAFile string `toml:"ca_file" check:"file"`
	// Replicas is on how many brokers the stream is, which the hub makes.
	Replicas int `toml:"replicas" check:"min=1,max=5"`
}

// Host reports whether this is a host's: it hands over.
func (s Settings) Host() bool { return s.URL != "" }

// Hub reports whether this is a hub's.
func (s Settings) Hub() bool { return s.Listen != "" || s.NATS != "" }

// Brokered reports whether a Broker is between the hosts and the hub.
func (s Settings) Brokered() bool { return s.NATS != "" || s.URL != "" && brokered(s.URL) }

func brokered(url string) bool {
	scheme, _, _ := strings.Cut(url, "://")
	return scheme == "nats" || scheme == "tls"
}

// wellFormed reports whether text is the address of a hub, or of brokers.
func wellFormed(text string) bool {
	for _, one := range strings.Split(text, ",") {
		u, err := url.Parse(one)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !brokered(one) || u.Scheme == "https" && one != text {
			return false
		}
	}
	return true
}

// Validate checks that it is one or the other.
func (s *Settings) Validate(at strictoml.At) {
	if !at.OK() {
		return
	}
	if s.URL != "" && !wellFormed(s.URL) {
		at.Fail("url", "must be the hub's address: https:// and a host; or those of brokers: tls:// and a host, with commas between").Hint = `url = "https://hub.example.com:8443"`
	}
	if s.NATS != "" && (!brokered(s.NATS) || !wellFormed(s.NATS)) {
		at.Fail("nats", "must be the addresses of brokers: tls:// and a host, with commas between").Hint = `nats = "tls://nats1.example.com:4222,tls://nats2.example.com:4222"`
	}
	if s.Name != "" && !ValidName(s.Name) {
		at.Fail("name", "may have lower-case letters, digits and hyphens, at most %d of them", maxName).Hint = `name = "web1"`
	}
	if s.Replicas != 0 && s.Replicas%2 == 0 {
		at.Fail("replicas", "must be 1, 3 or 5").Hint = "a majority of them has each event before it is acknowledged"
	}
	if s.Brokered() && s.CredentialsFile == "" {
		at.Fail("credentials_file", "is missing: brokers let nobody in without").Hint = `credentials_file = "/etc/sshnotify/nats.creds"`
	}
	if s.URL != "" && s.Hub() {
		at.Fail("url", "is a host's, and listen or nats the hub's: one machine is one of them").Hint = "the hub tells its own logins without it"
	}
	if s.Standby && (s.URL == "" || s.Brokered() || !s.Token.IsZero()) {
		at.Fail("standby", "needs url to be https:// and the host to have a certificate, which lets it copy the hub's database").Hint = "sshnotify fleet token --standby at the hub, and here sshnotify fleet join"
	}
	if strings.HasPrefix(s.Token.Reveal(), tokenPrefix) {
		at.Fail("token", "is one to join with, and not to be shown with each request").Hint = "sshnotify fleet join takes it; sshnotify fleet token --bearer at the hub makes the other"
	}
	if strings.HasPrefix(s.Token.Reveal(), ReaderPrefix) {
		at.Fail("token", "is a reader's, which opens the hub's page and hands nothing over").Hint = "sshnotify fleet token --bearer at the hub makes the other"
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		at.Fail(map[bool]string{true: "key_file", false: "cert_file"}[s.CertFile == ""], "needs the other one: cert_file and key_file go together")
	}
	for _, name := range s.Names {
		if _, err := netip.ParseAddr(name); err != nil && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			at.Fail("names", "must be names or addresses alone, without a scheme or a port, not %q", name)
			break
		}
	}
	if u, err := url.Parse(s.URL); err == nil && u.Scheme == "https" && (u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "") {
		at.Fail("url", "must be https:// and a host, with a port or without, and nothing behind it")
	}
	if s.Listen != "" {
		if _, err := netip.ParseAddrPort(s.Listen); err != nil {
			at.Fail("listen", "must be an address and a port").Hint = `listen = "0.0.0.0:8443"`
		}
	}
}
