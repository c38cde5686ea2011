package dns

import "github.com/sshnotify/sshnotify/enrich"

// Types are the settings' types "cymru" and "tor-dns", which have no keys.
func Types() []enrich.Type {
	return []enrich.Type{
		{Name: "cymru", New: func(string) enrich.ProviderSettings { return new(cymruSettings) }},
		{Name: "tor-dns", New: func(string) enrich.ProviderSettings { return new(torSettings) }},
	}
}

type cymruSettings struct{}

// Open makes the provider.
func (*cymruSettings) Open(env enrich.Env) (enrich.Provider, error) {
	return NewCymru(Options{Name: env.Name})
}

type torSettings struct{}

// Open makes the provider.
func (*torSettings) Open(env enrich.Env) (enrich.Provider, error) {
	return NewTor(Options{Name: env.Name})
}
