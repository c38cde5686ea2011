package config

import (
	"bytes"
	"os"
	"testing"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// FuzzLoad: whatever stands in the file, reading it ends, finds its errors a
// place, and shows no secret. What is right is right by the schema too.
func FuzzLoad(f *testing.F) {
	b, err := os.ReadFile("testdata/full.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, s := range []string{
		"[destination.slack]\nwebhook_url = \"" + plantedInline + "\"\n",
		"webhook_url = \"" + plantedInline + "\"\n\"" + plantedInline + "\" = 1\n",
		"[provider.threatjammer]\nurl = \"" + plantedInline + "\"\napi_key = '''" + plantedKey + "\n'''\n",
		"[outbound]\nproxy = \"" + plantedProxy + "\"\nproxy_file = \"" + plantedProxy + "\"\n",
		"notify = \"" + plantedKey + "\"\n[group]\nwindow = \"" + plantedKey + "\"\n[login]\nignore_networks = [\"" + plantedKey + "\"]\n",
		"a.b.c = [[1, {x = 2, y.z = []}], 1979-05-27, 1.5, true, nan]\n[[d]]\n[d.e]\n[[d.f]]\n[[d]]\n",
		"[[rule]]\nuser = [\"" + plantedInline + "\"]\ncountry = \"" + plantedKey + "\"\nasn = [1, \"AS2\"]\nhours = \"mon-fri 22:00-06:00\"\ndestination = \"" + plantedInline + "\"\n",
		"rule = [{ignore = true, tor = false}, {key = \"" + plantedKey + "\", label = \"a=b\"}]\n[networks]\na = [\"192.0.2.0/28\"]\n[groups]\nb = [\"*\"]\n",
		"[history]\nkeep = \"400d\"\nlearning = \"1d1h\"\n[digest]\nhour = \"08:00\"\n[raise]\ntor = \"none\"\n",
		"[provider.list]\nurl = \"https://example.com/" + plantedKey + "#\"\nrefresh = \"1d\"\nscore = 5\n[provider.http]\nfile = \"" + plantedKey + "\"\n",
		"[[pattern]]\nname = \"a\"\nmatch = \"(" + plantedKey + "\"\n[[pattern]]\nname = \"b\"\nmatch = '(?P<x>a)'\ntitle = \"${" + plantedKey + "}\"\nexec = {command = [\"" + plantedInline + "\"]}\n",
		"[[pattern]]\nname = \"" + plantedInline + "\"\ndecoder = \"csv\"\ncolumns = [\"" + plantedInline + "\"]\n[pattern.where]\n\"" + plantedInline + "\" = {max = 1.5}\n",
		"[source.a]\npath = \"" + plantedKey + "\"\n[source.journal]\nmatch = [\"" + plantedKey + "\"]\n[publish]\nfile = \"" + plantedKey + "\"\ndestination = \"" + plantedInline + "\"\n",
		"[[detector]]\nname = \"x\"\ncount = 3\nwithin = \"1d\"\n[watch]\nnotify = \"each\"\npattern.where.a = nan\n",
		"labels = {}\nrisk = 1\nenrich = []\n[people]\n\"\" = [\"\"]\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var l loader
		l.add("config.toml", 0o600, data)
		c, err := l.finish()
		checkNoSecret(t, err)
		if err == nil {
			c.Policy()
			c.Summary()
			if err := bySchema(t, string(data)); err != nil {
				t.Error(err)
			}
			return
		}
		if len(strictoml.Errors(err)) == 0 {
			t.Fatalf("%v is no *Error", err)
		}
		for _, e := range strictoml.Errors(err) {
			if e.Line < 1 || e.Line > bytes.Count(data, []byte("\n"))+1 || e.Column < 1 || e.Message == "" {
				t.Errorf("no place in the file: %+v", e)
			}
		}
	})
}
