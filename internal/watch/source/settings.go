package source

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Settings are the keys of a type of source: a pointer to a struct with
// strictoml's tags, and nothing secret in it.
type Settings interface {
	// Open opens the source with the rest of the options.
	Open(o Options) (Source, error)
	// Reads returns what it reads: a path, or the journal.
	Reads() string
}

// The types of sources.
const (
	FileType    = "file"
	JournalType = "journal"
	PipeType    = "pipe"
)

// Types are the sources that the settings can name.
func Types() []strictoml.Type[Settings] {
	return []strictoml.Type[Settings]{
		{Name: FileType, New: func(string) Settings { return new(File) }},
		{Name: JournalType, New: func(string) Settings { return new(Journal) }},
		{Name: PipeType, New: func(string) Settings { return new(Pipe) }},
	}
}

// Named is a source of the settings. It can be written as JSON and read back.
type Named struct {
	Name     string // what lines bear as their source
	Type     string `toml:"type"`
	Settings Settings
	Usual    bool // no settings name it: it may be missing
}

// UnmarshalJSON reads what json.Marshal writes.
func (s *Named) UnmarshalJSON(b []byte) error {
	var raw struct {
		Name, Type string
		Settings   json.RawMessage
		Usual      bool
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	for _, t := range Types() {
		if t.Name == raw.Type {
			*s = Named{raw.Name, raw.Type, t.New(raw.Name), raw.Usual}
			return json.Unmarshal(raw.Settings, s.Settings)
		}
	}
	return fmt.Errorf("%q is not a type of source", raw.Type)
}

// Sources are the tables [source.NAME], in the order in which they stand.
type Sources []Named

// DecodeTOML reads them. What has a path is a file, unless it says what else.
func (ss *Sources) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	isFile := func(n *strictoml.Node) string {
		if n.Child("path") != nil {
			return FileType
		}
		return ""
	}
	strictoml.Named(d, n, Types(), isFile, func(n *strictoml.Node, typ string, s Settings) {
		source := Named{Name: n.Key, Type: typ, Settings: s}
		d.Table(n, &source, s)
		*ss = append(*ss, source)
		if typ != JournalType {
			return
		}
		if was := d.First(theJournal, n); was != n {
			d.Fail(n, "the source in line %d%s reads the journal already", was.Line, was.In(n)).Hint = "write all of match there, with + between"
		}
	})
}

// File is a file that may be rotated.
type File struct {
	Path string `toml:"path,required,unique=source" check:"path"`
}

// Open opens the file.
func (f *File) Open(o Options) (Source, error) {
	o.Path = f.Path
	return OpenFile(o)
}

// Reads returns the path.
func (f *File) Reads() string { return f.Path }

// Pipe is a named pipe. It is made if it is missing.
type Pipe struct {
	Path  string `toml:"path,required,unique=source" check:"path"`
	Group string `toml:"group"` // who may write to one that is made; empty: the group of whoever makes it
}

// Validate looks at the group's name (useradd(8)).
func (p *Pipe) Validate(at strictoml.At) {
	if at.Has("group") && !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`).MatchString(p.Group) && at.OK() {
		at.Fail("group", "must be the name of a group%s", strictoml.Not(p.Group))
	}
}

// Open opens the pipe.
func (p *Pipe) Open(o Options) (Source, error) {
	o.Path, o.Group = p.Path, p.Group
	return OpenPipe(o)
}

// Reads returns the path.
func (p *Pipe) Reads() string { return p.Path }

const theJournal = "the journal"

// Journal is systemd's journal.
type Journal struct {
	// Match is what journalctl(1) takes: FIELD=VALUE, or + for or; none: all
	// entries.
	Match []string `toml:"match,one"`
}

// Validate keeps what journalctl would take for an option or a file out.
func (j *Journal) Validate(at strictoml.At) {
	if len(j.Match) > 64 {
		at.Fail("match", "at most 64 of them")
	}
	for i, m := range j.Match {
		key := fmt.Sprintf("match.%d", i)
		switch edge := i == 0 || i == len(j.Match)-1; {
		case m != "+" && !(strictoml.IsLine(m, 200) && regexp.MustCompile(`^[A-Z0-9_]+=.`).MatchString(m)):
			at.Fail(key, `must be a field and its value, such as "_COMM=sshd", or "+"%s`, strictoml.Not(m))
		case m == "+" && (edge || j.Match[i-1] == "+"):
			at.Fail(key, `"+" stands between two others`)
		}
	}
}

// Open opens the journal, of this machine where o.MachineID says which that is.
func (j *Journal) Open(o Options) (Source, error) {
	o.Matches = slices.Clone(j.Match)
	if id := strings.TrimSpace(o.MachineID); len(id) == 32 {
		// Each alternative is to have it.
		o.Matches = nil
		for _, m := range append(slices.Clone(j.Match), "+") {
			if m == "+" {
				o.Matches = append(o.Matches, "_MACHINE_ID="+id)
			}
			o.Matches = append(o.Matches, m)
		}
		o.Matches = o.Matches[:len(o.Matches)-1]
	}
	// --follow alone shows this boot only; --merge shows other machines too.
	o.JournalArgs = append([]string{"--merge"}, o.JournalArgs...)
	return OpenJournal(o)
}

// Reads returns that it is the journal.
func (*Journal) Reads() string { return theJournal }
