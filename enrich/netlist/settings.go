package netlist

import (
	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Type is the settings' type "list".
func Type() enrich.Type {
	return enrich.Type{Name: "list", New: func(string) enrich.ProviderSettings { return &Options{Refresh: DefaultRefresh} }}
}

// Validate asks for one place to read the list from.
func (o *Options) Validate(at strictoml.At) {
	switch path, url := at.Has("path"), at.Has("url"); {
	case path && url:
		at.Fail("url", "path is set as well").Hint = "leave one of them out"
	case !path && !url:
		at.Fail("", "path, url or url_file is missing")
	case !url && at.Has("refresh"):
		at.Fail("refresh", "is for lists with a url").Hint = "a file is read anew when it changes"
	}
	if !o.URL.IsZero() {
		if err := outbound.CheckURL(o.URL.Reveal()); err != nil {
			at.Fail("url", "%s", err)
		}
	}
	if o.Allow && o.Score != nil {
		at.Fail("allow", "a list of those who are expected has no score").Hint = "leave one of them out"
	}
}

// Open makes the list.
func (o *Options) Open(env enrich.Env) (enrich.Provider, error) {
	list := *o
	list.Name, list.Client, list.StateDir = env.Name, env.Client, env.StateDir
	return New(list)
}
