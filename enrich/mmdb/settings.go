package mmdb

import "github.com/sshnotify/sshnotify/enrich"

// Type is the settings' type "mmdb".
func Type() enrich.Type {
	return enrich.Type{Name: "mmdb", New: func(string) enrich.ProviderSettings { return new(Options) }}
}

// Open makes the provider. The file is opened at the first look-up.
func (o *Options) Open(env enrich.Env) (enrich.Provider, error) {
	db := *o
	db.Name = env.Name
	return New(db)
}
