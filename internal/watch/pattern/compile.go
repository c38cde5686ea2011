package pattern

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// compiled is a Pattern that is ready to be held against lines.
type compiled struct {
	Pattern
	match    *matcher // nil: every line
	ignore   []matcher
	decoder  *decoder
	slot     int  // where the engine keeps the decoder's record of a line
	anyEvent bool // of Suricata's events, not alerts only
	where    []condition
	title    template
	text     template
	tells    bool // title or text say what was left out
	by       template
	ip       *ref
	args     []template // of Exec, without the program
	fields   []ref      // what Match.Fields has besides the columns
	limit    *limiter   // nil: calm
	calm     calmer
	held     *held // the newest line that calm left out
	stat     Stat
}

const (
	maxPatternName = 64
	maxCount       = 1_000_000
	maxSeconds     = 31 * 24 * 60 * 60
	// The keys of all thresholds together take some 4 MiB, whatever comes.
	allKeys = 20_000
	minKeys = 500
)

func compile(p Pattern, maxKeys int) (*compiled, []error) {
	c := &compiled{Pattern: p, slot: -1, stat: Stat{Pattern: p.Name}}
	var errs []error
	wrong := func(key string, err error) {
		if err != nil {
			errs = append(errs, &Error{Pattern: p.Name, Key: key, Err: err})
		}
	}
	if p.Name != event.Clean(strings.TrimSpace(p.Name), maxPatternName) {
		wrong("name", fmt.Errorf("at most %d characters that can be seen, without blanks around them", maxPatternName))
	}
	if slices.Contains(p.Sources, "") {
		wrong("sources", errors.New("an empty one"))
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
	} else if (d == nil || !d.alerts()) && len(p.Where) == 0 {
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

	before, after := scope{re: p.Match, decoder: d}, scope{re: p.Match, decoder: d, told: true}
	for name, cond := range p.Where {
		of, err := before.find(name)
		if err == nil {
			var ready condition
			ready, err = compileCondition(of, cond)
			c.where = append(c.where, ready)
		}
		wrong("where", err)
		c.anyEvent = c.anyEvent || strings.TrimPrefix(name, ".") == eventType
	}
	slices.SortFunc(c.where, func(a, b condition) int { return strings.Compare(a.of.name, b.of.name) })
	if p.Severity != nil && (*p.Severity < event.Low || *p.Severity > event.Critical) {
		wrong("severity", errors.New("low, medium, high or critical"))
	}
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
	if t.Type != Limit && t.Type != Each && t.Type != Both {
		wrong("threshold.type", fmt.Errorf("%q is none of limit, threshold and both", t.Type))
	}
	if t.Count < 1 || t.Count > maxCount {
		wrong("threshold.count", fmt.Errorf("must be 1 to %d", maxCount))
	}
	if t.Seconds < 1 || t.Seconds > maxSeconds {
		wrong("threshold.seconds", fmt.Errorf("must be 1 to %d (31 days)", maxSeconds))
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
	case c.decoder != nil && c.decoder.alerts():
		name = c.decoder.addressField()
		if !c.decoder.json() && !slices.Contains(c.decoder.known(), name) {
			return // the settings' columns have none
		}
		name = "." + name
	default:
		return
	}
	of, err := in.find(name)
	if err == nil && of.kind != refCapture && of.kind != refField {
		err = fmt.Errorf("%q is neither a capture nor a field", name)
	}
	wrong("ip_field", err)
	c.ip = &of
}

// Limits of Exec.
const (
	execTimeout    = 10 * time.Second
	maxExecTimeout = 10 * time.Minute
	maxExecArgs    = 64
)

func (c *compiled) compileExec(in scope, wrong func(string, error)) {
	if c.Exec == nil {
		return
	}
	if t := c.Exec.Timeout; t < 0 || t > maxExecTimeout {
		wrong("exec.timeout", fmt.Errorf("at most %v", maxExecTimeout))
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
			c.tells = c.tells || of.kind == refLeftOut
			add(of)
		}
	}
	if c.decoder == nil {
		return
	}
	usual := c.decoder.known()
	switch c.decoder.name {
	case decoderSuricata:
		usual = []string{"src_ip", "src_port", "dest_ip", "dest_port", "proto", "alert.signature", "alert.signature_id", "alert.category",
			"alert.severity", "alert.action", "flow_id", "in_iface"}
	case decoderSnort3JSON:
		usual = append(slices.Clone(snort3Split), "msg", "proto", "class", "priority", "action")
	}
	for _, name := range usual {
		if of, err := in.field(name); err == nil {
			add(of)
		}
	}
}
