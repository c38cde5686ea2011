package channel

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/service"
)

// PayloadVersion is that of Payload. It changes when a field is taken away or
// comes to mean something else, not when one is added.
const PayloadVersion = 1

// maxPayload is the most bytes of a Payload as JSON: receivers of Standard
// Webhooks may refuse more than 20 KB
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
const maxPayload = 20_000

// Payload is an alert for a program. docs/payload.schema.json is its JSON Schema.
// What is not known is left out.
type Payload struct {
	Version   int             `json:"version"`
	ID        string          `json:"id"` // the same in every retry
	Test      bool            `json:"test,omitempty"`
	Time      time.Time       `json:"time"` // of the newest event, RFC 3339 in UTC
	Kind      event.Kind      `json:"kind"`
	Severity  event.Severity  `json:"severity"`
	Knowledge event.Knowledge `json:"knowledge,omitempty"`
	Usual     bool            `json:"usual,omitempty"`
	Headline  string          `json:"headline"` // what people are told, in a line
	Reasons   []string        `json:"reasons"`  // the strongest first
	// ReasonKeys are the reasons in a form that does not change with their words.
	ReasonKeys []string          `json:"reason_keys,omitempty"`
	Rule       string            `json:"rule,omitempty"`
	Host       string            `json:"host,omitempty"`
	Hosts      []string          `json:"hosts,omitempty"`      // the first few, where it is more than one
	MoreHosts  int               `json:"more_hosts,omitempty"` // beside them
	Labels     map[string]string `json:"labels,omitempty"`
	Service    string            `json:"service,omitempty"`
	User       string            `json:"user,omitempty"` // where it is only one
	Users      []string          `json:"users"`
	By         string            `json:"by,omitempty"` // who became User, of sudo and su
	Person     string            `json:"person,omitempty"`
	IP         string            `json:"ip,omitempty"` // where it is only one
	Port       uint16            `json:"port,omitempty"`
	IPs        []netip.Addr      `json:"ips"`
	Refs       []string          `json:"refs"`
	Events     int               `json:"events"` // that it tells; of a daily digest logins and attempts
	First      time.Time         `json:"first,omitzero"`
	Last       time.Time         `json:"last,omitzero"`
	Flags      []event.Flag      `json:"flags,omitempty"`
	Pattern    string            `json:"pattern,omitempty"` // of a match
	Title      string            `json:"title,omitempty"`   // of what is told in somebody's own words
	Text       string            `json:"text,omitempty"`
	Auth       *event.Auth       `json:"auth,omitempty"`
	Facts      *event.Facts      `json:"facts,omitempty"`
	Attack     *Numbers          `json:"attack,omitempty"`
	Rows       []event.Row       `json:"rows,omitempty"`      // of a digest
	MoreRows   int               `json:"more_rows,omitempty"` // for which there was no room
}

// Numbers are what the watcher counted of an attack.
type Numbers struct {
	Phase     event.Phase  `json:"phase,omitempty"`
	Detector  string       `json:"detector,omitempty"`
	By        string       `json:"by,omitempty"` // what the detector counts by: address, network or user
	Network   netip.Prefix `json:"network,omitzero"`
	Attempts  int          `json:"attempts"`
	First     time.Time    `json:"first,omitzero"`
	Last      time.Time    `json:"last,omitzero"`
	Names     event.Tally  `json:"names,omitzero"`
	Addresses event.Tally  `json:"addresses,omitzero"`
	Services  event.Tally  `json:"services,omitzero"`
}

// NewPayload returns what programs are told of an alert.
func NewPayload(a event.Alert) Payload {
	e, v := a.Event, a.Verdict
	p := Payload{
		Version: PayloadVersion, ID: a.ID, Test: a.Test, Time: e.Time.UTC(), Kind: e.Kind,
		Severity: v.Severity, Knowledge: v.Knowledge, Usual: v.Usual, Headline: message.New(a).Short(),
		Reasons: append([]string{}, v.Reasons...), ReasonKeys: v.Keys, Rule: v.Rule,
		Host: e.Host, Labels: e.Labels, Service: e.Service, User: e.User, Users: []string{}, By: e.By(), Person: a.Person,
		Port: e.Remote.Port, IPs: []netip.Addr{}, Refs: message.Refs(a), Events: max(a.Count, 1),
		First: a.First.UTC(), Last: a.Last.UTC(), Flags: e.Flags, Rows: a.Rows,
	}
	if e.Time.IsZero() {
		p.Time = p.Last
	}
	if len(p.Refs) == 0 {
		p.Refs = []string{event.Ref(a.ID)}
	}
	p.address(e.Remote.IP)
	p.user(e.User)
	for _, acc := range a.Accounts {
		p.user(acc.User)
		if !slices.Contains(p.Hosts, acc.Host) {
			p.Hosts = append(p.Hosts, acc.Host)
		}
	}
	if p.MoreHosts = max(0, a.Hosts-len(p.Hosts)); a.Hosts > 1 {
		p.Host = ""
	}
	if len(a.Rows) > 0 {
		p.Events = 0
	}
	for _, r := range a.Rows {
		p.Events += r.Count
		p.user(r.User)
		for _, ip := range r.IPs {
			p.address(ip)
		}
	}
	if p.User = ""; len(p.Users) == 1 {
		p.User = p.Users[0]
	}
	if len(p.IPs) == 1 {
		p.IP = p.IPs[0].String()
	}
	if e.Digest != nil && e.Digest.Report != nil {
		p.Text = e.Digest.Report.Sentence
	}
	if n := e.Note(); n != nil {
		p.Title, p.Text = n.Title, n.Text
		if n.Public { // others read it, who learn nothing of ours
			p.Host, p.Labels, p.Person, p.Rule, p.ReasonKeys = "", nil, "", "", nil
		}
	}
	if auth := e.Auth(); auth != (event.Auth{}) {
		auth.Info = "" // sshd's own lines, of which the rest was read
		p.Auth = &auth
	}
	if e.Remote.IP.IsValid() {
		p.Facts = &a.Facts
	}
	if e.Match != nil {
		p.Pattern = e.Match.Pattern
	}
	if t := e.Attack; t != nil {
		p.Attack = &Numbers{t.Phase, t.Detector, t.By, t.Network, t.Attempts, t.First, t.Last, t.Names, t.Addresses, t.Services}
	}
	return p
}

// payloadName is the placeholder of the whole Payload.
const payloadName = "payload"

// bodyVocabulary are the placeholders of a webhook's body: those of every message,
// each of Payload's fields that is not named as one of them, and all of it.
func bodyVocabulary() service.Vocabulary {
	ofMessage := slices.DeleteFunc(messageNames(), func(name string) bool { return name == "marks" || name == "mentions" }) // of Telegram and Discord
	v := service.Vocabulary{Values: append(ofMessage, payloadName), JSON: []string{"colour_number", "epoch", payloadName}}
	for f := range reflect.TypeFor[Payload]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if slices.Contains(v.Values, name) {
			continue
		}
		v.Values = append(v.Values, name)
		if f.Type.Kind() != reflect.String && !f.Type.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			v.JSON = append(v.JSON, name)
		}
	}
	return v
}

// payloadValues returns what stands for each of a Payload's fields: a text as it is,
// anything else as JSON.
func payloadValues(payload []byte) (map[string]string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(payload, &fields); err != nil {
		return nil, err
	}
	values := map[string]string{payloadName: string(payload)}
	for name, field := range fields {
		var text string
		if json.Unmarshal(field, &text) != nil {
			text = string(field)
		}
		values[name] = text
	}
	return values, nil
}

func (p *Payload) user(name string) {
	if name != "" && !slices.Contains(p.Users, name) {
		p.Users = append(p.Users, name)
	}
}

func (p *Payload) address(ip netip.Addr) {
	if ip.IsValid() && !slices.Contains(p.IPs, ip) {
		p.IPs = append(p.IPs, ip)
	}
}

// Bytes returns the payload as a line of JSON of at most maxPayload bytes, the
// line's end not among them. What there is no room for is left out: rows, what
// is long, and at last what is known of the key and of the address.
func (p Payload) Bytes() ([]byte, error) { return p.within(maxPayload) }

// within is Bytes of at most so many.
func (p Payload) within(most int) ([]byte, error) {
	rows := len(p.Rows)
	for step := 0; ; step++ {
		b, err := encode(p)
		if err != nil || len(b) <= most {
			return b, err
		}
		switch {
		case len(p.Rows) > 0:
			p.Rows = p.Rows[:len(p.Rows)/2]
			p.MoreRows = rows - len(p.Rows)
		case step > 100:
			return nil, fmt.Errorf("%d bytes, at most %d are sent", len(b), most)
		case step == 20:
			p.Labels, p.Auth = nil, nil
		case step == 30:
			p.Facts = nil
		default:
			p.shorten()
		}
	}
}

// shorten halves what can be of any length.
func (p *Payload) shorten() {
	p.Text = event.Clean(p.Text, len([]rune(p.Text))/2)
	p.Users, p.IPs = half(p.Users), half(p.IPs)
	p.Reasons = slices.Clone(p.Reasons)
	for i, r := range p.Reasons {
		p.Reasons[i] = event.Clean(r, max(80, len([]rune(r))/2))
	}
	if len(p.Reasons) > 8 {
		p.Reasons = half(p.Reasons)
	}
}

func half[T any](s []T) []T {
	if len(s) < 2 {
		return s
	}
	return s[:len(s)/2]
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a "<" stays one byte
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
