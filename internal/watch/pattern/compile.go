package pattern

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// compiled is a Pattern that is ready to be held against lines.
type compiled struct {
	Pattern
	match      *matcher // nil: every line
	ignore     []matcher
	decoder    *decoder
	onlyAlerts bool // of Suricata's events
	where      []condition
	title      template
	text       template
	tells      bool // title or text say what was left out
	by         template
	ip         *ref
	args       []template // of Exec, without the program
	fields     []ref      // what Match.Fields has besides the columns
	limit      *limiter   // nil: calm
	calm       bucket
	held       *held // the newest line that calm left out
	stat       Stat
}

const (
	// The keys of all thresholds together take some 4 MiB, whatever comes.
	allKeys = 20_000
	minKeys = 500
)

func compile(p Pattern, maxKeys int) (*compiled, []*Error) {
	c := &compiled{Pattern: p, stat: Stat{Pattern: p.Name}}
	var errs []*Error
	wrong := func(key string, err error) {
		if err != nil {
			errs = append(errs, &Error{Pattern: p.Name, Key: key, Err: err})
		}
	}
	d, key, err := newDecoder(p.Decoder, p.Columns)
	wrong(key, err)
	if err != nil {
		return nil, errs // the names of all the rest depend on it
	}
	c.decoder = d
	if p.Match != nil {
		m, err := newMatcher(p.Match)
		wrong("match", err)
		c.match = &m
	} else if !d.alerts() && len(p.Where) == 0 {
		wrong("match", errors.New("neither match nor where says which lines: a match of \"\" takes all"))
	}
	for _, re := range p.Ignore {
		if re == nil {
			wrong("ignore", errors.New("an empty one"))
			continue
		}
		m, err := newMatcher(re)
		wrong("ignore", err)
		c.ignore = append(c.ignore, m)
	}

	c.onlyAlerts = d.alerts() && d.program == suricata
	before, after := scope{re: p.Match, decoder: d}, scope{re: p.Match, decoder: d, told: true}
	for name, cond := range p.Where {
		of, err := before.find(name)
		if err == nil {
			var ready condition
			ready, err = compileCondition(of, cond)
			c.where = append(c.where, ready)
		}
		if err != nil {
			errs = append(errs, &Error{Pattern: p.Name, Key: "where", field: name, Err: err})
		}
		c.onlyAlerts = c.onlyAlerts && strings.TrimPrefix(name, ".") != eventType
	}
	slices.SortFunc(c.where, func(a, b condition) int { return strings.Compare(a.of.name, b.of.name) })
	c.title, err = parseTemplate(p.Title, after)
	wrong("title", err)
	c.text, err = parseTemplate(p.Text, after)
	wrong("text", err)
	c.compileThreshold(before, maxKeys, wrong)
	c.compileAddress(before, wrong)
	c.compileExec(after, wrong)
	c.collectFields()
	return c, errs
}

func (c *compiled) compileThreshold(in scope, maxKeys int, wrong func(string, error)) {
	var err error
	c.by, err = parseTemplate(c.By, in)
	wrong("threshold.by", err)
	t := c.Threshold
	if t == nil {
		if c.By != "" {
			wrong("threshold.by", errors.New("nothing is counted without a threshold"))
		}
		return
	}
	c.limit = newLimiter(*t, maxKeys)
}

// addressCapture is where an address is looked for if the settings do not say.
const addressCapture = "ip"

func (c *compiled) compileAddress(in scope, wrong func(string, error)) {
	name := c.IPField
	switch {
	case name != "":
	case c.Match != nil && c.Match.SubexpIndex(addressCapture) > 0:
		name = addressCapture
	case c.decoder.alerts():
		name = c.decoder.src
		if !c.decoder.json && !slices.Contains(c.decoder.known, name) {
			return // the settings' columns have none
		}
		name = "." + name
	default:
		return
	}
	of, err := in.find(name)
	if err == nil && of.kind == refOwn {
		err = fmt.Errorf("%q is neither a capture nor a field", name)
	}
	wrong("ip", err)
	c.ip = &of
}

// Limits of Exec.
const (
	execTimeout = 10 * time.Second
	maxExecArgs = 64
)

func (c *compiled) compileExec(in scope, wrong func(string, error)) {
	if c.Exec == nil {
		return
	}
	wrong("exec.command", checkCommand(c.Exec.Command))
	for i, arg := range c.Exec.Command {
		if i == 0 {
			continue
		}
		t, err := parseTemplate(arg, in)
		wrong("exec.command", err)
		if len(t.refs()) > 0 && runsOthers(c.Exec.Command[0]) {
			wrong("exec.command", fmt.Errorf("%s would run what a stranger wrote: take it from the environment instead, as $SSHNOTIFY_LINE", c.Exec.Command[0]))
		}
		c.args = append(c.args, t)
	}
}

// collectFields finds what a match hands on: all captures, and of a record the
// fields that the pattern speaks of.
func (c *compiled) collectFields() {
	add := func(of ref) {
		same := func(o ref) bool { return o.name == of.name }
		if (of.kind == refCapture && of.group > 0 || of.kind == refField) && len(c.fields) < maxFields && !slices.ContainsFunc(c.fields, same) {
			c.fields = append(c.fields, of)
		}
	}
	in := scope{re: c.Match, decoder: c.decoder}
	if c.Match != nil {
		for i, name := range c.Match.SubexpNames() {
			if of, err := in.find(cmp.Or(name, fmt.Sprint(i))); err == nil {
				add(of)
			}
		}
	}
	if c.ip != nil {
		add(*c.ip)
	}
	for _, w := range c.where {
		add(w.of)
	}
	for _, t := range slices.Concat([]template{c.title, c.text, c.by}, c.args) {
		for _, of := range t.refs() {
			c.tells = c.tells || of.kind == refOwn && of.name == "left_out"
			add(of)
		}
	}
	if c.decoder == nil {
		return
	}
	for _, name := range slices.Concat(c.decoder.known, c.decoder.usual) {
		if of, err := in.field(name); err == nil {
			add(of)
		}
	}
}
