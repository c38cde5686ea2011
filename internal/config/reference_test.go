package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// keys are those of each table of the settings. The name of a table is as in
// the reference: "enrich", "provider", "pattern.where"; "" is the top level. A
// key that the owner makes up, as in [networks], is not among them.
type keys map[string]map[string]bool

func (k keys) add(table string, names ...string) {
	if k[table] == nil {
		k[table] = map[string]bool{}
	}
	for _, name := range names {
		k[table][name] = true
	}
}

// list returns all as "table.key", sorted.
func (k keys) list() (all []string) {
	for table, names := range k {
		for name := range maps.Keys(names) {
			all = append(all, strings.TrimPrefix(table+"."+name, "."))
		}
	}
	slices.Sort(all)
	return all
}

// knownKeys are those of the structs that the settings are decoded into.
func knownKeys(t *testing.T) keys {
	all := keys{}
	var walk func(table string, typ reflect.Type)
	registered := func(table string, common reflect.Type, settings ...any) {
		walk(table, common)
		for _, s := range settings {
			walk(table, reflect.TypeOf(s))
		}
	}
	// What an element of a list, a map or a pointer is.
	element := func(typ reflect.Type) reflect.Type {
		for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Map}, typ.Kind()) {
			typ = typ.Elem()
		}
		return typ
	}
	walk = func(table string, typ reflect.Type) {
		typ = element(typ)
		for i := range typ.NumField() {
			f := typ.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
			switch inner := element(f.Type); {
			case key == "" && f.Anonymous:
				walk(table, f.Type)
			case key == "":
			case table == "" && key == "destination":
				// What a type has besides stands in docs/channels.md, made from the code.
				registered(key, reflect.TypeFor[Destination]())
			case table == "" && key == "provider":
				var settings []any
				for _, typ := range providerTypes() {
					settings = append(settings, typ.New(""))
				}
				registered(key, reflect.TypeFor[Provider](), settings...)
			case table == "" && key == "source":
				var settings []any
				for _, typ := range source.Types() {
					settings = append(settings, typ.New(""))
				}
				registered(key, reflect.TypeFor[source.Named](), settings...)
			case table == "" && key == "raise":
				for _, what := range policy.Signals() {
					all.add(key, string(what))
				}
			case table == "" && (key == "groups" || key == "networks"): // names of the owner's
			case inner.Kind() == reflect.Struct && hasKeys(inner) && table == "":
				walk(key, inner)
			case inner.Kind() == reflect.Struct && hasKeys(inner):
				all.add(table, key)
				walk(table+"."+key, inner)
			default:
				all.add(table, key)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	return all
}

// hasKeys reports whether a struct is a table, and not a value.
func hasKeys(typ reflect.Type) bool {
	for i := range typ.NumField() {
		if f := typ.Field(i); f.Tag.Get("toml") != "" || f.Anonymous && f.Type.Kind() == reflect.Struct && hasKeys(f.Type) {
			return true
		}
	}
	return false
}

// row is what docs/settings.md says of a key.
type row struct{ standard, meaning string }

// documented reads docs/settings.md: a heading names the table, and the
// first column of the tables that begin with "key" its keys.
func documented(t *testing.T) map[string]map[string]row {
	t.Helper()
	b, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile("^(##+) (?:`\\[*([a-z_]+)(?:\\.NAME)?\\]*`|Top level)$")
	code := regexp.MustCompile("`([a-z_]+)`")
	all := map[string]map[string]row{}
	add := func(table, key string, r row) {
		if all[table] == nil {
			all[table] = map[string]row{}
		}
		all[table][key] = r
	}
	table, top, in := "-", "", false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch m := heading.FindStringSubmatch(line); {
		case m != nil && m[1] == "##":
			table, top = m[2], m[2]
		case m != nil:
			table = top + "." + m[2]
			if _, ok := all[top][m[2]]; !ok {
				add(top, m[2], row{})
			}
		case strings.HasPrefix(line, "#"):
			table = "-"
		case !strings.HasPrefix(line, "|"):
			in = false
		case strings.HasPrefix(line, "| key |"):
			in = true
		case in && table != "-" && !strings.HasPrefix(line, "|---"):
			cells := strings.Split(line, "|")
			if len(cells) != 6 {
				t.Errorf("a row has %d cells, want key, type, default and meaning: %s", len(cells)-2, line)
				continue
			}
			for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
				add(table, m[1], row{strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])})
			}
		}
	}
	return all
}

// documentedKeys are those of docs/settings.md.
func documentedKeys(t *testing.T) keys {
	all := keys{}
	for table, rows := range documented(t) {
		all.add(table, slices.Collect(maps.Keys(rows))...)
	}
	if len(all.list()) < 100 {
		t.Fatalf("only %d keys were found", len(all.list()))
	}
	return all
}

// exampleKeys reads examples/config.toml, with what it offers in comments.
func exampleKeys(t *testing.T) keys {
	t.Helper()
	b, err := os.ReadFile("../../examples/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	header := regexp.MustCompile(`^#?\[+([a-z_.]+?)(?:\.[a-z-]+?)?(\.template)?\]`)
	set := regexp.MustCompile(`^#?([a-z_]+) = `)
	inline := regexp.MustCompile(`([a-z_]+) = `)
	all := keys{}
	table := ""
	for line := range strings.Lines(string(b)) {
		if m := header.FindStringSubmatch(line); m != nil {
			if table = m[1] + m[2]; m[2] != "" {
				all.add(m[1], "template")
			} else if strings.Contains(line, "[pattern.where]") {
				table = "pattern.where"
				all.add("pattern", "where")
			}
			continue
		}
		m := set.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		key, value, _ := strings.Cut(strings.TrimPrefix(line, "#"), " = ")
		inner := ""
		switch {
		case table == "pattern.where":
			inner = table
		case table == "pattern" && (key == "threshold" || key == "exec"):
			all.add(table, key)
			inner = table + "." + key
		case slices.Contains([]string{"networks", "groups"}, table):
			all.add(table)
		case key == "ca_file" || key == "cert_file" || key == "key_file" || key == "credentials_file":
			all.add(table, key)
		default: // a secret's twin is not listed by itself
			all.add(table, strings.TrimSuffix(key, "_file"))
		}
		if inner != "" {
			for _, m := range inline.FindAllStringSubmatch(value, -1) {
				all.add(inner, m[1])
			}
		}
	}
	return all
}

func compareKeys(t *testing.T, what string, got, want keys) {
	t.Helper()
	g, w := got.list(), want.list()
	for _, k := range w {
		if !slices.Contains(g, k) {
			t.Errorf("%s: %s is missing", what, k)
		}
	}
	for _, k := range g {
		if !slices.Contains(w, k) {
			t.Errorf("%s: there is no setting %s", what, k)
		}
	}
}

// The reference and the example have every key, and none that is not one.
func TestEveryKeyIsDocumented(t *testing.T) {
	known := knownKeys(t)
	compareKeys(t, "docs/settings.md", documentedKeys(t), known)
	examples := exampleKeys(t)
	for _, typ := range channel.Types() { // some of which it shows
		for _, k := range typ.Keys() {
			delete(examples["destination"], k.Name)
		}
	}
	compareKeys(t, "examples/config.toml", examples, known)
}

// Without its comments, the example says what holds without settings.
func TestExampleIsTheDefault(t *testing.T) {
	b, err := os.ReadFile("../../examples/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/config.toml"
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Files, want.SaidIn = got.Files, got.SaidIn
	show := func(c Config) string { return fmt.Sprintf("%+v", c) }
	if show(got) != show(want) {
		t.Errorf("got  %s\nwant %s", show(got), show(want))
	}
}
