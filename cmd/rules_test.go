package cmd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/sshnotify/sshnotify"

// importGraph gives what each package that we are made of imports itself,
// without its tests.
func importGraph(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	graph := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		graph[f[0]] = f[1:]
	}
	return graph
}

// way gives a chain of imports that leads from one package to another; none if
// it is not linked with it.
func way(graph map[string][]string, from, to string) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			var chain []string
			for p := to; p != ""; p = before[p] {
				chain = append([]string{p}, chain...)
			}
			return chain
		}
		for _, next := range graph[queue[0]] {
			if _, seen := before[next]; !seen {
				before[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	return nil
}

func TestImportRules(t *testing.T) {
	const anyOfOurs = module + "/…"
	ours := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, module+"/"+n)
		}
		return out
	}
	graph := importGraph(t)
	for _, rule := range []struct {
		pkg    string
		direct []string // must not import itself
		reach  []string // must not be linked with
		why    string
	}{
		{"internal/event", []string{"os", anyOfOurs}, []string{"net/http"}, "it is plain data"},
		{"internal/login", nil, []string{"net/http", "os/user"}, "a login must not wait for a network or a name service"},
		{"internal/watch", nil, []string{"net/http"}, "a login must not wait for a network"},
		{"internal/spool", nil, append(ours("internal/channel", "internal/deliver"), "net/http", "os/user"), "the hook writes to it, and it does not know what a destination is"},
		{"internal/history", nil, append(ours("internal/deliver", "internal/config", "enrich"), "net/http"), "it remembers, and asks nobody"},
		{"internal/watch", nil, append(ours("internal/history", "internal/deliver", "internal/store"), "modernc.org/sqlite"), "who watches knows no memory"},
		{"internal/spool", nil, append(ours("internal/history"), "modernc.org/sqlite"), "the hook writes to it, and knows no memory"},
		{"internal/login", nil, append(ours("internal/history"), "modernc.org/sqlite"), "a login must not wait for a memory"},
		{"internal/syslog", nil, []string{"net/http", "log/syslog"}, "the hook uses it, and the standard library's can hang"},
		{"internal/policy", []string{"os", "net"}, []string{"net/http"}, "it is a pure function"},
		{"internal/digest", []string{"os"}, append(ours("internal/store", "internal/deliver"), "net/http"), "it is pure functions of events and their times"},
		{"internal/message", []string{"os"}, append(ours("slackmsg", "internal/policy", "internal/spool", "internal/channel"), "net/http"), "it is words, whatever the channel"},
		{"internal/report", []string{"os", "net/http"}, append(ours("enrich", "internal/config", "internal/deliver", "internal/channel", "internal/spool"), "net/http"), "a page is made of what it is given, and asks nobody"},
		{"enrich", nil, ours("internal/policy", "internal/channel", "internal/spool", "internal/config"), "it finds facts and fails no delivery"},
		{"slackmsg", []string{"os", "net/http"}, ours("internal/outbound", "internal/spool", "internal/config", "internal/policy"), "it renders words, chooses none and sends nothing"},
		{"internal/service", []string{"os"}, ours("enrich", "internal/channel", "internal/config", "internal/policy", "internal/deliver"), "it describes requests, whoever makes them"},
		{"internal/channel", nil, ours("internal/spool", "enrich", "internal/config", "internal/policy"), "it only sends what it is given"},
		{"internal/deliver", nil, ours("cmd", "internal/config", "install"), "it gets its settings as values"},
		{"internal/channel", nil, ours("internal/asked"), "a message is told whether somebody can answer it or not"},
		{"internal/deliver", nil, append(ours("internal/asked"), "github.com/slack-go/slack/socketmode"), "a message is told whether somebody can answer it or not"},
		{"cmd/sshnotify-hook", nil, append(ours("internal/asked"), "github.com/gorilla/websocket"), "a login opens no socket"},
		{"internal/strictoml", nil, append(ours("internal/config", "internal/outbound"), "net/http"), "who watches or judges reads settings with it, and reaches no network"},
		{"internal/outbound", nil, ours("internal/spool", "internal/config", "internal/channel"), "it is the way out, and not what takes it"},
		{"internal/standin", []string{anyOfOurs}, nil, "a mistake of ours must not be mirrored in what stands in for others"},
		{"internal/respond", nil, append(ours("internal/config", "internal/deliver", "internal/channel"), "net/http", "modernc.org/sqlite"), "it acts as root, on what it is given"},
		{"install", nil, []string{"net/http"}, "setting up reaches no network"},
	} {
		path := module + "/" + rule.pkg
		direct, exists := graph[path]
		if !exists {
			continue // not built yet
		}
		for _, banned := range rule.direct {
			if i := slices.IndexFunc(direct, func(p string) bool {
				return p == banned || banned == anyOfOurs && strings.HasPrefix(p, module+"/")
			}); i >= 0 {
				t.Errorf("%s imports %s, and must not: %s", rule.pkg, direct[i], rule.why)
			}
		}
		for _, banned := range rule.reach {
			if chain := way(graph, path, banned); chain != nil {
				t.Errorf("%s reaches %s, and must not: %s (%s)", rule.pkg, banned, rule.why, strings.Join(chain, " → "))
			}
		}
	}
	for path, direct := range graph {
		if path != module+"/cmd" && slices.Contains(direct, module+"/internal/config") {
			t.Errorf("%s imports internal/config: only cmd may, the rest gets values", path)
		}
		for _, name := range []string{"internal/standin", "internal/store/storetest"} {
			if slices.Contains(direct, module+"/"+name) {
				t.Errorf("%s imports %s: only tests may", path, name)
			}
		}
	}
	const nats = "github.com/nats-io/nats.go"
	for path := range graph {
		if only := module + "/cmd/sshnotify-nats"; path == only || !strings.HasPrefix(path, module+"/") || path == module+"/internal/fleet/jetstream" {
			continue
		}
		if chain := way(graph, path, nats); chain != nil {
			t.Errorf("%s reaches %s: only cmd/sshnotify-nats may, for it makes each start slower (%s)", path, nats, strings.Join(chain, " → "))
		}
	}
	if way(graph, module+"/cmd/sshnotify-nats", nats) == nil {
		t.Error("cmd/sshnotify-nats is not linked with " + nats)
	}
	if way(graph, module+"/cmd", "net/http") == nil { // or none of the above could fail
		t.Error("cmd is not linked with net/http")
	}
}

// TestCallRules holds what some packages may not call, where an import says
// too little.
func TestCallRules(t *testing.T) {
	for _, rule := range []struct {
		dirs []string // below the module's folder; a "!" in front leaves one out
		uses []string // package.name
		why  string
	}{
		{[]string{"internal/policy", "internal/digest", "internal/message", "internal/report", "slackmsg", "internal/event"}, []string{"time.Now", "time.Since", "time.Until"},
			"the same event must give the same verdict and words, today and replayed"},
		{[]string{"internal/channel"}, []string{"time.Sleep", "time.After", "time.Tick", "time.NewTimer", "time.NewTicker"},
			"waiting is outbound's for an instant and the spool's for long"},
		{[]string{"", "!cmd", "!tools"}, []string{"os.Exit", "os.Stdout", "os.Stderr", "os.Stdin", "fmt.Print", "fmt.Println", "fmt.Printf", "log.Fatal", "log.Print", "log.Printf"},
			"only cmd, and the programs that make releases and data, talk to people and end the process"},
		{[]string{""}, []string{"http.DefaultClient", "http.DefaultTransport", "http.Get", "http.Post", "http.PostForm", "http.Head"},
			"there is one client, and it is passed in"},
		{[]string{""}, []string{"user.Lookup", "user.LookupId", "user.Current", "net.LookupHost", "net.LookupAddr", "net.LookupIP"},
			"names are asked of nobody"},
	} {
		within := func(path string) bool {
			in := false
			for _, dir := range rule.dirs {
				dir, out := strings.CutPrefix(dir, "!")
				if dir == "" || path == dir || strings.HasPrefix(path, dir+"/") {
					in = !out
				}
			}
			return in
		}
		eachFile(t, func(path string, file *ast.File) {
			if strings.HasSuffix(path, "_test.go") || !within(filepath.Dir(path)) {
				return
			}
			ast.Inspect(file, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Obj == nil && slices.Contains(rule.uses, pkg.Name+"."+sel.Sel.Name) {
					t.Errorf("%s uses %s.%s, and must not: %s", path, pkg.Name, sel.Sel.Name, rule.why)
				}
				return true
			})
		})
	}
}

// ourFiles are all Go files of ours, parsed once; paths are relative to the module's.
var ourFiles = sync.OnceValues(func() (map[string]*ast.File, error) {
	all := map[string]*ast.File{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, err := filepath.Rel("..", path)
		if err == nil {
			all[rel], err = parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		}
		return err
	})
	return all, err
})

// eachFile visits every file of ours.
func eachFile(t *testing.T, visit func(path string, file *ast.File)) {
	t.Helper()
	all, err := ourFiles()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d files were found", len(all))
	}
	for path, file := range all {
		visit(path, file)
	}
}

// TestSources holds what every Go file of ours must be like.
func TestSources(t *testing.T) {
	comments := make(map[string]int) // folder → package comments
	eachFile(t, func(path string, file *ast.File) {
		dir := filepath.Dir(path)
		if !strings.HasSuffix(path, "_test.go") {
			if file.Doc != nil {
				comments[dir]++
			} else {
				comments[dir] += 0
			}
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function: pass arguments", path)
			}
			shipped := !strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(path, "internal/standin/") && !strings.HasPrefix(path, "tools/")
			if what := builtAtStart(decl); what != "" && shipped {
				t.Errorf("%s: %s is built before it is needed, at each login: sync.OnceValue, a function or an array", path, what)
			}
		}
		for _, group := range file.Comments {
			if unfinished.MatchString(group.Text()) {
				t.Errorf("%s leaves something to be done: %q", path, group.Text())
			}
		}
	})
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments, want one", dir, n)
		}
	}
}

// builtAtStart returns an expression, a template, a set of flags or a map that a
// declaration makes of a variable of the package: work at each start.
func builtAtStart(decl ast.Decl) (what string) {
	g, ok := decl.(*ast.GenDecl)
	if !ok || g.Tok != token.VAR {
		return ""
	}
	ast.Inspect(g, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit: // it may be called later
			return false
		case *ast.CompositeLit:
			if _, isMap := n.Type.(*ast.MapType); isMap {
				what = "a map"
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"MustCompile", "Must", "NewFlagSet", "Compile", "Parse"}, f.Sel.Name) {
				what = "what " + f.Sel.Name + " returns"
			}
		}
		return true
	})
	return what
}

func TestBuiltAtStart(t *testing.T) {
	for source, want := range map[string]string{
		"var a = regexp.MustCompile(`x`)":                                       "what MustCompile returns",
		"var ( b = 1; c = map[string]int{} )":                                   "a map",
		"var f = flag.NewFlagSet(``, 0)":                                        "what NewFlagSet returns",
		"var d = sync.OnceValue(func() any { return regexp.MustCompile(`x`) })": "",
		"var e = [...]string{`a`}":                                              "",
		"func g() any { return map[string]int{} }":                              "",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := builtAtStart(file.Decls[0]); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

func TestEveryCommandIsDocumented(t *testing.T) {
	commands := allCommands(newRootCmd(&app{}))
	if len(commands) < 15 {
		t.Fatalf("only %d commands were found", len(commands))
	}
	for _, c := range commands {
		if !strings.Contains(c.Long, "EXIT STATUS\n  0 ") {
			t.Errorf("%s: its help has no EXIT STATUS section", c.CommandPath())
		}
		if c.Example == "" {
			t.Errorf("%s: its help has no example", c.CommandPath())
		}
		if c.Args == nil {
			t.Errorf("%s does not check its arguments", c.CommandPath())
		}
		if c.Run == nil && c.RunE == nil {
			t.Errorf("%s does nothing", c.CommandPath())
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short help is %q", c.CommandPath(), c.Short)
		}
	}
}
