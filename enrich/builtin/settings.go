package builtin

import "github.com/sshnotify/sshnotify/enrich"

// TypeName is the type of a table that names the database only to give it a
// place in the order.
const TypeName = "builtin"

// Type is the settings' type of that name, which has no keys.
func Type() enrich.Type {
	return enrich.Type{Name: TypeName, New: func(string) enrich.ProviderSettings { return new(settings) }}
}

type settings struct{}

// Open opens the database.
func (*settings) Open(enrich.Env) (enrich.Provider, error) { return Open() }
