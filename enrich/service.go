package enrich

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

// shipped are the files of the services that sshnotify knows, in the form that
// services/README.md describes.
//
//go:embed services/*.toml
var shipped embed.FS

// Service says what there is to know of a look-up service before it is used.
type Service struct {
	Name  string // the type in the settings: "abuseipdb"
	Title string // as people know it: "AbuseIPDB"
	Terms string // what its terms bind the user to, a sentence or two; may be empty
	Home  string // address of its documentation

	NeedsKey   bool   // no request without an API key
	TakesKey   bool   // a key may be given; always true with NeedsKey
	NeedsURL   bool   // there is no DefaultURL
	URLHint    string // what to put there; may be empty
	DefaultURL string
	GivesRisk  bool // see GivesRisk
	IPv4Only   bool
	Quota      Limits // of the plan that costs least
}

// Limits are how many requests may be made in any span of that length; 0: as
// many as one likes.
type Limits struct{ PerMinute, PerDay, PerWeek, PerMonth int }

// Services lists the services that sshnotify knows, in the order of their
// names.
func Services() []Service {
	var out []Service
	for _, name := range serviceNames() {
		f, err := shippedService(name)
		if err != nil {
			continue // a test holds that there is none
		}
		out = append(out, f.Service())
	}
	return out
}

func serviceNames() []string {
	files, err := shipped.ReadDir("services")
	if err != nil {
		return nil
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(f.Name(), ".toml"))
	}
	slices.Sort(out)
	return out
}

// shippedService reads one of the files that sshnotify comes with.
func shippedService(name string) (*ServiceFile, error) {
	if !isFileName(name) {
		return nil, fmt.Errorf("no such service: %q", name)
	}
	b, err := shipped.ReadFile(path.Join("services", name+".toml"))
	if err != nil {
		return nil, fmt.Errorf("no such service: %q", name)
	}
	return ParseService(name, b)
}

// ServiceFile is a service's description, read and checked. It does not change
// and may be used concurrently.
type ServiceFile struct {
	name   string
	form   serviceForm
	digest string // of the file: what was read by another is not used
	risk   int    // index of the first request that gives a score; -1: none does
}

// Service gives what there is to know of it before it is used.
func (f *ServiceFile) Service() Service {
	return Service{
		Name: f.name, Title: f.form.Title, Terms: strings.TrimSpace(f.form.Terms), Home: f.form.Home,
		NeedsKey: f.form.Key == keyRequired, TakesKey: f.form.Key != keyNone,
		NeedsURL: f.form.URL == "", URLHint: f.form.URLHint, DefaultURL: f.form.URL,
		GivesRisk: f.givesRisk(), IPv4Only: f.form.Addresses == addressesIPv4,
		Quota: Limits(f.form.Quota),
	}
}

// givesRisk reports whether there is always a risk, be it unknown.
func (f *ServiceFile) givesRisk() bool { return f.risk >= 0 && f.form.Risk != riskSometimes }
