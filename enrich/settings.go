package enrich

import (
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Settings bound the look-ups.
type Settings struct {
	Timeout  time.Duration `toml:"timeout" check:"max=1m"` // for all providers together; a look-up holds up its alert
	CacheTTL time.Duration `toml:"cache_ttl" check:"max=30d"`
	Builtin  bool          `toml:"builtin"` // the built-in database is asked too
}

// DefaultSettings are those without a settings file.
func DefaultSettings() Settings {
	return Settings{Timeout: DefaultTimeout, CacheTTL: time.Hour, Builtin: true}
}

// ProviderSettings are the keys of a type of provider: a pointer to a struct with
// strictoml's tags.
type ProviderSettings interface {
	// Open makes the provider. It asks nobody.
	Open(env Env) (Provider, error)
}

// Env is what providers work with.
type Env struct {
	Name     string // of the provider's table
	Client   *outbound.Client
	StateDir string    // for copies of lists; empty: none are kept
	Store    *store.DB // for quotas; nil: they are counted in memory
}

// Type is a type of provider.
type Type = strictoml.Type[ProviderSettings]

// HTTPType is the type of a service that the owner describes in a file of their
// own.
func HTTPType() Type {
	return Type{Name: "http", New: func(string) ProviderSettings { return new(describedSettings) }}
}

// ServiceTypes are the services that sshnotify knows, in the order of their
// names. Their files are read when one is named.
func ServiceTypes() []Type {
	var all []Type
	for _, name := range serviceNames() {
		all = append(all, Type{Name: name, New: func(string) ProviderSettings {
			f, err := shippedService(name)
			if err != nil { // a test holds that there is none such
				return &serviceSettings{}
			}
			s := serviceSettings{file: f}
			if f.Service().TakesKey {
				return &keyedSettings{serviceSettings: s}
			}
			return &s
		}})
	}
	return all
}

// serviceSettings are those of a service that takes no key.
type serviceSettings struct {
	URL       string `toml:"url"` // empty: the service's own
	PerMinute int    `toml:"per_minute" check:"min=1,max=100000000"`
	PerDay    int    `toml:"per_day" check:"min=1,max=100000000"`
	PerWeek   int    `toml:"per_week" check:"min=1,max=100000000"`
	PerMonth  int    `toml:"per_month" check:"min=1,max=100000000"`

	file *ServiceFile
}

// Validate asks for what the service can't do without.
func (s *serviceSettings) Validate(at strictoml.At) {
	if s.URL != "" {
		if err := service.CheckBaseURL(s.URL); err != nil {
			at.Fail("url", "%s", err)
		}
	} else if s.file != nil && s.file.Service().NeedsURL && !at.Has("url") {
		at.Fail("", "url is missing").Hint = `url = "https://…", ` + s.file.Service().URLHint
	}
}

// Open makes the provider.
func (s *serviceSettings) Open(env Env) (Provider, error) { return s.open(env, outbound.Secret{}) }

func (s *serviceSettings) open(env Env, key outbound.Secret) (Provider, error) {
	return NewHTTP(env.Client, HTTPOptions{
		Name: env.Name, Service: s.file, BaseURL: s.URL, Key: key, Store: env.Store,
		PerMinute: s.PerMinute, PerDay: s.PerDay, PerWeek: s.PerWeek, PerMonth: s.PerMonth,
	})
}

// keyedSettings are those of a service that takes a key.
type keyedSettings struct {
	serviceSettings
	APIKey outbound.Secret `toml:"api_key,secret"`
}

// Validate asks for the key where the service needs one.
func (s *keyedSettings) Validate(at strictoml.At) {
	s.serviceSettings.Validate(at)
	if s.file != nil && s.file.Service().NeedsKey && !at.Has("api_key") {
		at.Fail("", "api_key or api_key_file is missing")
	}
}

// Open makes the provider.
func (s *keyedSettings) Open(env Env) (Provider, error) { return s.open(env, s.APIKey) }

// describedSettings are those of a service with a file of the owner's.
type describedSettings struct {
	File string `toml:"file,required" check:"file"`
	keyedSettings
}

// Open reads the file and makes the provider.
func (s *describedSettings) Open(env Env) (Provider, error) {
	keyed := s.keyedSettings
	b, _, err := strictoml.ReadFile(s.File)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	if keyed.file, err = ParseService(env.Name, b); err != nil {
		for _, e := range strictoml.Errors(err) {
			e.File = s.File // each is shown by itself
		}
		return nil, err
	}
	return keyed.Open(env)
}
