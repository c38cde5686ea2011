package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// schemaFile is for editors. It is of draft 7, which all of them read, and refuses
// nothing that Load takes.
const schemaFile = "../../docs/settings.schema.json"

var update = flag.Bool("update", false, "write the schema anew")

type schema = map[string]any

// schemas makes the schema of the structs that the settings are decoded into,
// and of what docs/settings.md says of their keys.
type schemas struct {
	t           *testing.T
	rows        map[string]row // of docs/settings.md, by "table.key"
	definitions schema
}

func settingsSchema(t *testing.T) schema {
	s := schemas{t: t, rows: map[string]row{}, definitions: schema{}}
	for table, keys := range documented(t) {
		for key, r := range keys {
			s.rows[table+"."+key] = r
		}
	}
	all := s.table("", reflect.TypeFor[Config]())
	all["$schema"] = "http://json-schema.org/draft-07/schema#"
	all["title"] = "Settings of sshnotify"
	all["definitions"] = s.definitions
	return all
}

// table describes a table whose keys several structs have together. name is as
// in the reference.
func (s *schemas) table(name string, structs ...reflect.Type) schema {
	properties, demands := schema{}, []any{}
	var add func(reflect.Type)
	add = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			key, options, _ := strings.Cut(f.Tag.Get("toml"), ",")
			if key == "" {
				if f.Anonymous {
					add(f.Type)
				}
				continue
			}
			names := []string{key}
			for o := range strings.SplitSeq(options, ",") {
				if old, ok := strings.CutPrefix(o, "old="); ok {
					names = append(names, old)
				} else if strings.HasPrefix(o, "secret") {
					names = append(names, key+"_file")
				}
			}
			for _, n := range names {
				if n != key && strings.HasSuffix(n, "_file") {
					properties[n] = schema{"type": "string", "minLength": 1, "description": "the path of a file that holds " + key + " alone, or credential:NAME"}
				} else {
					properties[n] = s.documented(name, n, f, s.field(name, n, f))
				}
			}
			if strings.Contains(","+options+",", ",required,") {
				var one []any
				for _, n := range names {
					one = append(one, schema{"required": []string{n}})
				}
				if demands = append(demands, schema{"anyOf": one}); len(one) == 1 {
					demands[len(demands)-1] = one[0]
				}
			}
		}
	}
	for _, typ := range structs {
		add(typ)
	}
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(demands) > 0 {
		out["allOf"] = demands
	}
	return out
}

// documented adds what the reference, or a channel's own tag, says of a key.
func (s *schemas) documented(table, key string, f reflect.StructField, to schema) schema {
	if r, ok := s.rows[table+"."+key]; ok {
		to["description"] = plain(r.meaning)
		var value any
		if literal, ok := strings.CutPrefix(r.standard, "`"); ok && json.Unmarshal([]byte(strings.TrimSuffix(literal, "`")), &value) == nil {
			to["default"] = value
		}
	} else if doc := f.Tag.Get("doc"); doc != "" {
		to["description"] = plain(doc)
	}
	return to
}

// plain takes the marks out of a line of Markdown.
func plain(s string) string {
	s = regexp.MustCompile(`\[((?:[^\[\]]|\[+[^\[\]]*\]+)*)\]\([^)]*\)`).ReplaceAllString(s, "$1")
	return strings.ReplaceAll(s, "`", "")
}

func (s *schemas) field(table, key string, f reflect.StructField) schema {
	inner := key
	if table != "" {
		inner = table + "." + key
	}
	_, options, _ := strings.Cut(f.Tag.Get("toml"), ",")
	return s.value(inner, f.Type, tags{
		one: slices.Contains(strings.Split(options, ","), "one"), each: f.Tag.Get("each") != "", check: f.Tag.Get("check"),
	})
}

// tags are those of a field that bear on its values.
type tags struct {
	one, each bool
	check     string
}

func textOf(more ...any) schema {
	out := schema{"type": "string"}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

// durations are texts that strictoml.ParseDuration may take.
const durations = `^([0-9]+d)?([0-9]*\.?[0-9]*(ns|us|µs|μs|ms|s|m|h))*0?$`

func (s *schemas) value(name string, typ reflect.Type, t tags) schema {
	severities := []any{"low", "medium", "high", "critical"}
	scalar := schema{"type": []string{"string", "integer", "boolean"}}
	switch typ {
	case reflect.TypeFor[Destinations]():
		// Its own keys stand in docs/channels.md, made from their tags.
		return named(s, "destination", channel.SettingsTypes(), reflect.TypeFor[Destination]())
	case reflect.TypeFor[Providers]():
		return named(s, "provider", providerTypes(), reflect.TypeFor[Provider]())
	case reflect.TypeFor[source.Sources]():
		out := named(s, "source", source.Types(), reflect.TypeFor[source.Named]())
		// What has a path is a file.
		out["additionalProperties"].(schema)["else"] = schema{"$ref": "#/definitions/source.file"}
		return out
	case reflect.TypeFor[policy.SignalSeverity]():
		properties := schema{}
		for _, what := range policy.Signals() {
			properties[string(what)] = s.documented("raise", string(what), reflect.StructField{}, schema{"enum": append([]any{"none"}, severities...)})
		}
		return schema{"type": "object", "properties": properties, "additionalProperties": false}
	case reflect.TypeFor[policy.People]():
		if name == "people" { // as it was written before
			return schema{"type": "object", "additionalProperties": s.value(name, reflect.TypeFor[[]policy.Key](), tags{})}
		}
		return schema{"type": "object", "additionalProperties": s.table("person", reflect.TypeFor[policy.Person]())}
	case reflect.TypeFor[policy.Key](), reflect.TypeFor[policy.RuleNetwork](), reflect.TypeFor[policy.Label](), reflect.TypeFor[netip.Prefix](), reflect.TypeFor[*regexp.Regexp]():
		return textOf("minLength", 1)
	case reflect.TypeFor[policy.ASN]():
		return schema{"anyOf": []any{schema{"type": "integer", "minimum": 1}, textOf("pattern", "^(AS)?[0-9]+$")}}
	case reflect.TypeFor[event.Severity]():
		return schema{"enum": severities}
	case reflect.TypeFor[strictoml.Clock]():
		return textOf("pattern", "^([01][0-9]|2[0-3]):[0-5][0-9]$")
	case reflect.TypeFor[time.Duration]():
		return textOf("pattern", durations, "minLength", 1)
	case reflect.TypeFor[pattern.Scalars]():
		return schema{"anyOf": []any{scalar, schema{"type": "array", "items": scalar, "minItems": 1}}}
	case reflect.TypeFor[pattern.Condition]():
		return schema{"anyOf": []any{s.table("pattern.where", typ), s.value(name, reflect.TypeFor[pattern.Scalars](), tags{})}}
	case reflect.TypeFor[service.Body]():
		return schema{"type": "object"}
	}
	if _, isText := reflect.New(typ).Interface().(encoding.TextUnmarshaler); isText {
		return textOf("minLength", 1)
	}
	if _, reads := reflect.New(typ).Interface().(strictoml.Unmarshaler); reads {
		s.t.Errorf("%s: say here what %v reads", name, typ)
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return s.value(name, typ.Elem(), t)
	case reflect.Struct:
		return s.table(name, typ)
	case reflect.Slice:
		element := s.value(name, typ.Elem(), t)
		list := schema{"type": "array", "items": element}
		if !t.one {
			return list
		}
		list["minItems"] = 1
		return schema{"anyOf": []any{element, list}}
	case reflect.Map:
		out := schema{"type": "object", "additionalProperties": s.value(name, typ.Elem(), t)}
		if t.each {
			out["propertyNames"] = schema{"pattern": "^[A-Za-z0-9_-]{1,32}$"}
		}
		return out
	case reflect.Bool:
		return schema{"type": "boolean"}
	}
	out := schema{"type": map[reflect.Kind]string{reflect.String: "string", reflect.Float64: "number", reflect.Int: "integer", reflect.Int64: "integer"}[typ.Kind()]}
	for c := range strings.SplitSeq(t.check, ",") {
		what, value, _ := strings.Cut(c, "=")
		n, _ := strconv.Atoi(value)
		switch what {
		case "oneof":
			return schema{"enum": strings.Fields(value)}
		case "line":
			out["minLength"], out["maxLength"] = 1, n
		case "nonempty", "file":
			out["minLength"] = 1
		case "path":
			out["pattern"] = "^/"
		case "min":
			out["minimum"] = n
		case "max":
			out["maximum"] = n
		}
	}
	return out
}

// named describes a table of named tables. The type of each is its name, unless it
// says another. Editors complete by what anyOf names, where true lets all pass, and
// tell what is wrong by then and else.
func named[S any](s *schemas, what string, types []strictoml.Type[S], common reflect.Type) schema {
	ref := func(typ string) schema { return schema{"$ref": "#/definitions/" + what + "." + typ} }
	is := func(typ string) schema { return schema{"properties": schema{"type": schema{"const": typ}}} }
	var names, refs, each []any
	properties, shared := schema{}, s.table(what, common)
	s.definitions[what+".any"] = shared
	for _, typ := range types {
		own := reflect.ValueOf(typ.New(""))
		if k, ok := own.Interface().(strictoml.Keyed); ok {
			own = reflect.ValueOf(k.Struct())
		}
		table := s.table(what, own.Type().Elem())
		for key := range shared["properties"].(schema) {
			table["properties"].(schema)[key] = schema{"$ref": "#/definitions/" + what + ".any/properties/" + key}
		}
		table["properties"].(schema)["type"] = schema{"const": typ.Name}
		s.definitions[what+"."+typ.Name] = table
		properties[typ.Name] = schema{"if": is(typ.Name), "then": ref(typ.Name), "else": schema{"$ref": "#/definitions/" + what}, "anyOf": []any{ref(typ.Name), true}}
		names, refs = append(names, typ.Name), append(refs, ref(typ.Name))
		each = append(each, schema{"if": is(typ.Name), "then": ref(typ.Name)})
	}
	s.definitions[what] = schema{"type": "object", "required": []string{"type"}, "properties": schema{"type": schema{"enum": names}},
		"if": schema{"required": []string{"type"}}, "then": schema{"allOf": each}}
	return schema{"type": "object", "properties": properties, "propertyNames": schema{"pattern": "^[A-Za-z0-9_-]{1,32}$"},
		"additionalProperties": schema{"if": schema{"required": []string{"type"}}, "then": schema{"$ref": "#/definitions/" + what},
			"else": schema{"required": []string{"type"}}, "anyOf": append(refs, true)}}
}

func TestSettingsSchema(t *testing.T) {
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(settingsSchema(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(schemaFile); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is out of date: go test ./internal/config -run TestSettingsSchema -update (%v)", schemaFile, err)
	}
}

var published = sync.OnceValues(func() (*jsonschema.Schema, error) { return jsonschema.NewCompiler().Compile(schemaFile) })

// bySchema holds a settings file against the published schema.
func bySchema(t *testing.T, document string) error {
	t.Helper()
	s, err := published()
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := toml.Unmarshal([]byte(document), &v); err != nil {
		t.Fatalf("%v:\n%s", err, document)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if v, err = jsonschema.UnmarshalJSON(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// All that we show is right by it.
func TestSchemaTakesWhatWeShow(t *testing.T) {
	setting := regexp.MustCompile(`(?m)^#([^ \n-])`)
	n := 0
	for _, name := range []string{"testdata/full.toml", "../../examples/config.toml", "../../examples/channels.toml", "../../tools/release/package/config.toml"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range []string{string(b), setting.ReplaceAllString(string(b), "$1")} {
			if err := bySchema(t, document); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(b), -1) {
			if strings.HasPrefix(m[1], "# /etc/sshnotify/codes.toml") {
				continue // another program's
			}
			n++
			if err := bySchema(t, m[1]); err != nil {
				t.Errorf("%s: %v\n%s", page, err, m[1])
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d examples in docs", n)
	}
	for _, d := range []string{"3s", "1d", "400d", "1d12h", "1h30m", ".5h", "1.5h", "0", "1d0", "100ms", "1µs"} {
		if _, ok := strictoml.ParseDuration(d); !ok {
			t.Errorf("%q is no duration", d)
		}
		if err := bySchema(t, "[enrich]\ntimeout = '"+d+"'"); err != nil {
			t.Error(err)
		}
	}
}

// What an editor can know to be wrong, it says.
func TestSchemaRefuses(t *testing.T) {
	for name, document := range map[string]string{
		"an unknown key":              "hots = 'x'",
		"an unknown table":            "[enrihc]",
		"an unknown key of a table":   "[enrich]\ntime_out = '3s'",
		"no duration":                 "[enrich]\ntimeout = '3 seconds'",
		"a number for a duration":     "[enrich]\ntimeout = 3",
		"no word of it":               "notify = 'some'",
		"too many":                    "ordinary_per_day = 2000",
		"a list for a text":           "host = ['x']",
		"an empty list":               "[[rule]]\nuser = []\nignore = true",
		"no type":                     "[destination.phone]\nurl = 'https://ntfy.example.com'",
		"no such type":                "[destination.phone]\ntype = 'ntfi'",
		"a key of another type":       "[destination.slack]\ntopic = 'x'",
		"that by type":                "[destination.phone]\ntype = 'ntfy'\nwebhook_url_file = '/x'",
		"a key that is missing":       "[destination.mail]\nserver = 'sendmail'",
		"a provider's":                "[provider.tor]\ntype = 'list'\nurll = 'https://example.com'",
		"a source without a path":     "[source.auth]\ntype = 'file'",
		"a source that is none":       "[source.auth]\nmatch = ['x']",
		"no hour":                     "[digest]\nhour = '25:00'",
		"a severity of what is new":   "[raise]\nnew_key = 'severe'",
		"a detector without a number": "[[detector]]\nname = 'x'\nwithin = '1h'",
		"a key of a person":           "[person.alice]\nkey = ['x']",
		"a relative folder":           "spool_dir = 'spool'",
		"a condition":                 "[[pattern]]\nname = 'x'\nwhere = {a = {mni = 1}}",
	} {
		if err := bySchema(t, document); err == nil {
			t.Errorf("%s is taken:\n%s", name, document)
		}
	}
}

// Each key has its meaning: what an editor shows.
func TestSchemaExplainsEveryKey(t *testing.T) {
	s := settingsSchema(t)
	var look func(at string, s schema)
	look = func(at string, s schema) {
		properties, _ := s["properties"].(schema)
		for _, key := range slices.Sorted(maps.Keys(properties)) {
			p := properties[key].(schema)
			isTable := p["properties"] != nil || p["additionalProperties"] != nil || p["if"] != nil || p["items"] != nil
			if p["description"] == nil && p["$ref"] == nil && !isTable && key != "type" {
				t.Errorf("%s.%s has no description", at, key)
			}
			look(at+"."+key, p)
		}
	}
	look("", s)
	for _, name := range slices.Sorted(maps.Keys(s["definitions"].(schema))) {
		if strings.Contains(name, ".") {
			look(name, s["definitions"].(schema)[name].(schema))
		}
	}
}
