package standin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// The tokens and ids of a SlackApp.
const (
	SlackBotToken  = "xoxb-swordfish-xyzzy"
	SlackAppToken  = "xapp-swordfish-plugh"
	SlackTeam      = "T0123ABCD"
	SlackAppID     = "A0123ABCD"
	SlackChannel   = "C024BE91L"
	slackTicketLen = 24
)

// SlackAppOptions are the settings of an app's stand-in.
type SlackAppOptions struct {
	// Scopes of the bot's token; nil: all that are checked.
	Scopes []string
	// Members are the users that there are, by mail address.
	Members map[string]string
	// Behave answers a call of a method in place of the usual way; its n counts the
	// calls of each. May be nil.
	Behave func(method string, n int) *Answer
	// Late is called once a call was carried out, before it is answered. May be nil.
	Late func(method string, n int)
}

// SlackApp is a stand-in for the Web API and Socket Mode, as far as an app with
// buttons uses them (https://docs.slack.dev/apis/events-api/using-socket-mode). All
// methods may be called concurrently.
type SlackApp struct {
	o      SlackAppOptions
	server *server

	mu       sync.Mutex
	changed  chan struct{} // closed, and made anew, with each change
	calls    map[string]int
	refused  []string // what was refused: METHOD WORD
	messages []*Posted
	tickets  map[string]bool
	sockets  []*slackSocket
	most     int // sockets at a time
	opened   int
	acked    map[string]time.Duration   // by envelope: after how long
	answers  map[string]json.RawMessage // by envelope: what came with that
	views    []*View
	triggers map[string]time.Time // of presses, until each is used
	sentAt   map[string]time.Time
	next     int
	viewOf   map[string]string // by envelope: which dialog it sends off
}

// Posted is a message that was told.
type Posted struct {
	Channel, TS, Thread string
	User                string // who alone sees it
	Raw                 []byte // as it was told last
	Payload             Payload
	Updates             int
}

// View is a dialog that was shown to somebody: what is there now.
type View struct {
	ID, Trigger string
	User        string
	Raw         json.RawMessage // none: it was closed
}

// triggerHolds is how long a dialog may be opened after a press
// (https://docs.slack.dev/interactivity/handling-user-interaction).
const triggerHolds = 3 * time.Second

type slackSocket struct {
	conn    *websocket.Conn
	writing sync.Mutex
}

func (s *slackSocket) write(v any) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.conn.WriteJSON(v)
}

// StartSlackApp starts a stand-in on a free port of 127.0.0.1. Close it.
func StartSlackApp(o SlackAppOptions) (*SlackApp, error) {
	s := &SlackApp{
		o: o, changed: make(chan struct{}), calls: map[string]int{}, tickets: map[string]bool{}, acked: map[string]time.Duration{}, answers: map[string]json.RawMessage{}, triggers: map[string]time.Time{}, sentAt: map[string]time.Time{}, viewOf: map[string]string{}, next: 100,
	}
	var err error
	s.server, err = startServer(net.Listen, s.serve)
	return s, err
}

// URL is where the methods are.
func (s *SlackApp) URL() string { return "http://" + s.server.address + "/api" }

// Close ends everything.
func (s *SlackApp) Close() {
	s.Drop()
	s.server.close()
}

// change runs f, and lets those look again who wait.
func (s *SlackApp) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Until waits until what it sees is so.
func (s *SlackApp) Until(ctx context.Context, is func(*SlackApp) bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if is(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w; messages: %s", ctx.Err(), s.String())
		}
	}
}

// Messages returns copies of what was told so far, in that order.
func (s *SlackApp) Messages() (all []Posted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		all = append(all, *m)
	}
	return all
}

func (s *SlackApp) String() string {
	var b strings.Builder
	for _, m := range s.Messages() {
		fmt.Fprintf(&b, "\n%s %s %s %s: %s", m.Channel, m.TS, m.Thread, m.User, m.Raw)
	}
	return b.String()
}

// Refused returns which calls were refused, and with which word.
func (s *SlackApp) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

// Calls returns how often a method was called.
func (s *SlackApp) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Sockets returns how many are open, were at a time at most, and were in all.
func (s *SlackApp) Sockets() (open, most, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets), s.most, s.opened
}

// Acked returns how long it took until an envelope was acknowledged; false: it was not.
func (s *SlackApp) Acked(envelope string) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	took, ok := s.acked[envelope]
	return took, ok
}

// Answered returns what an envelope was acknowledged with: what Slack is to show in place
// of the dialog that was sent off.
func (s *SlackApp) Answered(envelope string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers[envelope]
}

// Views returns copies of all dialogs that were opened.
func (s *SlackApp) Views() (all []View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.views {
		all = append(all, *v)
	}
	return all
}

// Drop cuts all sockets, without a word.
func (s *SlackApp) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sockets {
		c.conn.Close()
	}
}

// Refresh asks for new sockets, as Slack does every hour.
func (s *SlackApp) Refresh() {
	s.mu.Lock()
	all := slices.Clone(s.sockets)
	s.mu.Unlock()
	for _, c := range all {
		_ = c.write(map[string]any{"type": "disconnect", "reason": "refresh_requested", "debug_info": map[string]any{"host": "applink-1"}})
	}
}

// Press returns the envelope of somebody who presses a button of a message, as Slack
// would send it. lie may change its payload.
func (s *SlackApp) Press(m Posted, action, user string, lie func(map[string]any)) (map[string]any, error) {
	block, value := "", ""
	for _, a := range m.Payload.Attachments {
		var blocks []struct {
			Type     string
			BlockID  string `json:"block_id"`
			Elements []struct {
				ActionID string `json:"action_id"`
				Value    string
			}
		}
		_ = json.Unmarshal(a.Blocks, &blocks)
		for _, b := range blocks {
			for _, e := range b.Elements {
				if b.Type == "actions" && e.ActionID == action {
					block, value = b.BlockID, e.Value
				}
			}
		}
	}
	if block == "" {
		return nil, fmt.Errorf("the message has no button %q: %s", action, m.Raw)
	}
	s.mu.Lock()
	s.next++
	trigger := fmt.Sprintf("%d.2.%s", s.next, user)
	s.triggers[trigger] = time.Now()
	s.mu.Unlock()
	payload := map[string]any{
		"type": "block_actions", "api_app_id": SlackAppID, "token": "legacy", "trigger_id": trigger,
		"team": map[string]any{"id": SlackTeam, "domain": "example"}, "user": map[string]any{"id": user, "username": "somebody", "team_id": SlackTeam},
		"channel":   map[string]any{"id": m.Channel, "name": "directmessage"},
		"container": map[string]any{"type": "message_attachment", "message_ts": m.TS, "channel_id": m.Channel, "attachment_id": 2, "is_ephemeral": false},
		"message":   map[string]any{"ts": m.TS, "type": "message", "text": m.Payload.Text},
		"actions": []any{map[string]any{
			"type": "button", "action_id": action, "block_id": block, "value": value, "action_ts": "1503435957.1", "text": map[string]any{"type": "plain_text", "text": "x"},
		}},
	}
	if lie != nil {
		lie(payload)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return map[string]any{"type": "interactive", "envelope_id": fmt.Sprintf("envelope-%d", s.next), "accepts_response_payload": true, "payload": payload}, nil
}

// Submit returns the envelope of somebody who sends a dialog off with these options
// chosen, as Slack would send it. lie may change its payload.
func (s *SlackApp) Submit(v View, user string, chosen []string, lie func(map[string]any)) map[string]any {
	var view struct {
		Callback string `json:"callback_id"`
		Meta     string `json:"private_metadata"`
		Blocks   []struct {
			Type    string
			ID      string `json:"block_id"`
			Element struct {
				Type    string
				Action  string `json:"action_id"`
				Options []struct {
					Value string
					Text  any
				}
			}
		}
	}
	_ = json.Unmarshal(v.Raw, &view)
	values := map[string]any{}
	for _, b := range view.Blocks {
		if b.Type != "input" {
			continue
		}
		selected := []any{}
		for _, o := range b.Element.Options {
			if slices.Contains(chosen, o.Value) {
				selected = append(selected, map[string]any{"text": o.Text, "value": o.Value})
			}
		}
		values[b.ID] = map[string]any{b.Element.Action: map[string]any{"type": b.Element.Type, "selected_options": selected}}
	}
	payload := map[string]any{
		"type": "view_submission", "api_app_id": SlackAppID, "token": "legacy", "trigger_id": "1.2.3",
		"team": map[string]any{"id": SlackTeam, "domain": "example"}, "user": map[string]any{"id": user, "username": "somebody", "team_id": SlackTeam},
		"view": map[string]any{
			"id": v.ID, "team_id": SlackTeam, "type": "modal", "callback_id": view.Callback, "private_metadata": view.Meta, "hash": "156772938.1827394",
			"state": map[string]any{"values": values}, "app_id": SlackAppID, "bot_id": "B0000BOT1",
		},
	}
	if lie != nil {
		lie(payload)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	envelope := fmt.Sprintf("envelope-%d", s.next)
	s.viewOf[envelope] = v.ID
	return map[string]any{"type": "interactive", "envelope_id": envelope, "accepts_response_payload": true, "payload": payload}
}

// Deliver sends an envelope over one of the sockets, and over another one if that
// ends, and returns when it was acknowledged. The same may be delivered again.
func (s *SlackApp) Deliver(ctx context.Context, envelope map[string]any) error {
	id, _ := envelope["envelope_id"].(string)
	for {
		over, err := s.send(ctx, envelope)
		if err != nil {
			return err
		}
		acked := false
		if err := s.Until(ctx, func(*SlackApp) bool {
			_, acked = s.Acked(id)
			s.mu.Lock()
			defer s.mu.Unlock()
			return acked || !slices.Contains(s.sockets, over)
		}); err != nil || acked {
			return err
		}
	}
}

// Say sends bytes over a socket, whatever they are.
func (s *SlackApp) Say(ctx context.Context, frame []byte) error {
	if err := s.Until(ctx, func(*SlackApp) bool { open, _, _ := s.Sockets(); return open > 0 }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sockets) == 0 {
		return nil // it ended since: what was to be said is lost
	}
	c := s.sockets[len(s.sockets)-1]
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.conn.WriteMessage(websocket.TextMessage, frame)
	return nil
}

// Send is Deliver without waiting.
func (s *SlackApp) Send(ctx context.Context, envelope map[string]any) error {
	_, err := s.send(ctx, envelope)
	return err
}

func (s *SlackApp) send(ctx context.Context, envelope map[string]any) (over *slackSocket, err error) {
	id, _ := envelope["envelope_id"].(string)
	for {
		if err := s.Until(ctx, func(*SlackApp) bool { open, _, _ := s.Sockets(); return open > 0 }); err != nil {
			return nil, err
		}
		s.mu.Lock()
		var c *slackSocket
		if len(s.sockets) > 0 {
			c = s.sockets[len(s.sockets)-1]
		}
		delete(s.acked, id)
		s.sentAt[id] = time.Now()
		s.mu.Unlock()
		if c != nil && c.write(envelope) == nil {
			return c, nil
		}
	}
}

func (s *SlackApp) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/socket" {
		s.socket(w, r)
		return
	}
	method, ok := strings.CutPrefix(r.URL.Path, "/api/")
	raw, err := body(r, maxSlackBody)
	if !ok || err != nil || r.Method != http.MethodPost {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	var n int
	s.change(func() { s.calls[method]++; n = s.calls[method] })
	if s.o.Behave != nil {
		if a := s.o.Behave(method, n); a != nil {
			a.give(w, r, 0)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	scopes := s.o.Scopes
	if scopes == nil {
		scopes = []string{"chat:write", "im:write", "users:read", "users:read.email"}
	}
	answer, word := s.call(method, r.Header, raw, scopes)
	if method != "apps.connections.open" {
		w.Header().Set("X-OAuth-Scopes", strings.Join(scopes, ","))
	}
	if word != "" {
		s.change(func() { s.refused = append(s.refused, method+" "+word) })
		answer = map[string]any{"ok": false, "error": word}
		if scope, missing := strings.CutPrefix(word, "missing_scope "); missing {
			answer = map[string]any{"ok": false, "error": "missing_scope", "needed": scope, "provided": strings.Join(scopes, ",")}
		}
	} else {
		answer["ok"] = true
	}
	if s.o.Late != nil {
		s.o.Late(method, n)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// call answers a method, or refuses it with a word.
func (s *SlackApp) call(method string, h http.Header, raw []byte, scopes []string) (answer map[string]any, word string) {
	token, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	needs := map[string]string{
		"auth.test": "", "chat.postMessage": "chat:write", "chat.update": "chat:write", "chat.postEphemeral": "chat:write",
		"conversations.open": "im:write", "views.open": "", "users.lookupByEmail": "users:read.email", "apps.connections.open": "",
	}
	scope, known := needs[method]
	switch {
	case !known:
		return nil, "unknown_method"
	case !ok:
		return nil, "not_authed"
	case token != SlackBotToken && token != SlackAppToken:
		return nil, "invalid_auth"
	case (method == "apps.connections.open") != (token == SlackAppToken):
		return nil, "not_allowed_token_type"
	case scope != "" && !slices.Contains(scopes, scope):
		return nil, "missing_scope " + scope
	}
	isJSON := strings.HasPrefix(h.Get("Content-Type"), "application/json")
	var m struct {
		Channel, TS, User, Users string
		Thread                   string `json:"thread_ts"`
	}
	if isJSON && len(raw) > 0 && string(raw) != "null" && json.Unmarshal(raw, &m) != nil {
		return nil, "invalid_json"
	}
	switch method {
	case "auth.test":
		return map[string]any{"team": "Example", "team_id": SlackTeam, "user_id": "U0000BOT1", "bot_id": "B0000BOT1"}, ""
	case "apps.connections.open":
		ticket := fmt.Sprintf("ticket-%0*d", slackTicketLen, time.Now().UnixNano())
		s.change(func() { s.tickets[ticket] = true })
		return map[string]any{"url": "ws://" + s.server.address + "/socket?ticket=" + ticket + "&app_id=" + SlackAppID}, ""
	case "users.lookupByEmail":
		form, err := url.ParseQuery(string(raw))
		id, is := s.o.Members[form.Get("email")]
		if isJSON || err != nil || form.Get("email") == "" {
			return nil, "invalid_arguments"
		}
		if !is {
			return nil, "users_not_found"
		}
		return map[string]any{"user": map[string]any{"id": id, "team_id": SlackTeam}}, ""
	case "conversations.open":
		if !s.member(m.Users) {
			return nil, "user_not_found"
		}
		return map[string]any{"channel": map[string]any{"id": "D" + m.Users[1:]}}, ""
	}
	if method == "views.open" {
		return s.openView(raw, isJSON)
	}
	p, word := parsePayload(raw)
	if word == "" {
		word = checkBlocks(p)
	}
	if !isJSON {
		word = "invalid_arguments"
	}
	if word != "" {
		return nil, word
	}
	where := m.Channel
	switch {
	case s.member(where):
		where = "D" + where[1:]
	case where == "#alerts":
		where = SlackChannel
	}
	if where != SlackChannel && !s.member("U"+strings.TrimPrefix(where, "D")) {
		return nil, "channel_not_found"
	}
	if method == "chat.update" {
		var found *Posted
		s.change(func() {
			for _, x := range s.messages {
				if x.TS == m.TS && x.Channel == m.Channel && x.User == "" { // never by the id of a user
					found = x
					x.Raw, x.Payload = raw, p
					x.Updates++
				}
			}
		})
		if found == nil {
			return nil, "message_not_found"
		}
		return map[string]any{"channel": found.Channel, "ts": found.TS}, ""
	}
	if method == "chat.postEphemeral" && !s.member(m.User) {
		return nil, "user_not_in_channel"
	}
	x := &Posted{Channel: where, Thread: m.Thread, User: m.User, Raw: raw, Payload: p}
	s.change(func() {
		s.next++
		x.TS = fmt.Sprintf("1503435956.%06d", s.next)
		s.messages = append(s.messages, x)
	})
	if m.User != "" {
		return map[string]any{"message_ts": x.TS}, ""
	}
	return map[string]any{"channel": where, "ts": x.TS, "message": map[string]any{"text": p.Text}}, ""
}

func (s *SlackApp) member(id string) bool {
	for _, m := range s.o.Members {
		if m == id {
			return true
		}
	}
	return false
}

// openView shows a dialog to whoever's press the trigger is of.
func (s *SlackApp) openView(raw []byte, isJSON bool) (answer map[string]any, word string) {
	var m struct {
		Trigger string `json:"trigger_id"`
		View    json.RawMessage
	}
	if !isJSON || json.Unmarshal(raw, &m) != nil || len(m.View) == 0 {
		return nil, "invalid_arguments"
	}
	if word := CheckSlackView(m.View); word != "" {
		return nil, word
	}
	s.change(func() {
		at, is := s.triggers[m.Trigger]
		switch {
		case !is:
			word = "exchanged_trigger_id"
		case time.Since(at) > triggerHolds:
			word = "expired_trigger_id"
		}
		delete(s.triggers, m.Trigger)
		if word == "" {
			s.next++
			user := m.Trigger[strings.LastIndex(m.Trigger, ".")+1:]
			s.views = append(s.views, &View{fmt.Sprintf("V%d", s.next), m.Trigger, user, m.View})
		}
	})
	if word != "" {
		return nil, word
	}
	return map[string]any{"view": map[string]any{"id": "V1"}}, ""
}

// CheckSlackView looks at a modal view as Slack documents it, and returns the word with
// which it would be refused
// (https://docs.slack.dev/reference/views/modal-views).
func CheckSlackView(raw []byte) string {
	type text struct{ Type, Text string }
	var v struct {
		Type                 string
		Title, Submit, Close *text
		Callback             string `json:"callback_id"`
		Meta                 string `json:"private_metadata"`
		Blocks               []struct {
			Type    string
			ID      string `json:"block_id"`
			Text    *text
			Label   *text
			Element *struct {
				Type    string
				Action  string `json:"action_id"`
				Options []struct {
					Value             string
					Text, Description *text
				}
			}
		}
	}
	within := func(t *text, most int) bool {
		return t != nil && t.Type == "plain_text" && t.Text != "" && utf8.RuneCountInString(t.Text) <= most
	}
	if json.Unmarshal(raw, &v) != nil || v.Type != "modal" || !within(v.Title, 24) || v.Submit != nil && !within(v.Submit, 24) || v.Close != nil && !within(v.Close, 24) ||
		len(v.Callback) > 255 || len(v.Meta) > 3000 || len(v.Blocks) == 0 || len(v.Blocks) > 100 {
		return "invalid_arguments"
	}
	for _, b := range v.Blocks {
		switch b.Type {
		case "section":
			if !within(b.Text, 3000) {
				return "invalid_arguments"
			}
		case "input":
			if v.Submit == nil || !within(b.Label, 2000) || b.Element == nil || b.Element.Type != "checkboxes" || b.Element.Action == "" || len(b.Element.Options) == 0 || len(b.Element.Options) > 10 {
				return "invalid_arguments"
			}
			seen := map[string]bool{}
			for _, o := range b.Element.Options {
				if !within(o.Text, 75) || o.Description != nil && !within(o.Description, 75) || o.Value == "" || len(o.Value) > 150 || seen[o.Value] {
					return "invalid_arguments"
				}
				seen[o.Value] = true
			}
		default:
			return "invalid_arguments"
		}
	}
	return ""
}

// take applies what a dialog's answer is to be shown as.
func (s *SlackApp) take(view string, answer json.RawMessage) {
	var a struct {
		Action string `json:"response_action"`
		View   json.RawMessage
	}
	_ = json.Unmarshal(answer, &a)
	for _, v := range s.views {
		if v.ID != view {
			continue
		}
		switch a.Action {
		case "update":
			if word := CheckSlackView(a.View); word != "" {
				s.refused = append(s.refused, "view_submission "+word)
			}
			v.Raw = a.View
		case "":
			v.Raw = nil
		}
	}
}

// CheckSlackBlocks is CheckSlack for a message with buttons.
func CheckSlackBlocks(raw []byte) string {
	p, refused := parsePayload(raw)
	if refused == "" {
		refused = checkBlocks(p)
	}
	return refused
}

// checkBlocks looks at the blocks of a message as Slack documents them
// (https://docs.slack.dev/reference/block-kit/blocks).
func checkBlocks(p Payload) string {
	ids := map[string]bool{}
	for _, a := range p.Attachments {
		var blocks []map[string]json.RawMessage
		_ = json.Unmarshal(a.Blocks, &blocks)
		for _, b := range blocks {
			var typ, id string
			var elements []struct {
				Type, Value, Style string
				ActionID           string          `json:"action_id"`
				Text               json.RawMessage // a string, or an object
				Confirm            *struct{ Title, Text, Confirm struct{ Type, Text string } }
			}
			_ = json.Unmarshal(b["type"], &typ)
			_ = json.Unmarshal(b["block_id"], &id)
			if json.Unmarshal(b["elements"], &elements) != nil || len(elements) == 0 || utf8.RuneCountInString(id) > 255 || id != "" && ids[id] {
				return "invalid_blocks"
			}
			ids[id] = true
			actions := map[string]bool{}
			for _, e := range elements {
				var label struct{ Type, Text string }
				switch typ {
				case "context":
					var text string
					if e.Type != "plain_text" && e.Type != "mrkdwn" || json.Unmarshal(e.Text, &text) != nil || text == "" || utf8.RuneCountInString(text) > 3000 || len(elements) > 10 {
						return "invalid_blocks"
					}
				case "actions":
					if e.Type != "button" || json.Unmarshal(e.Text, &label) != nil || label.Type != "plain_text" || label.Text == "" || utf8.RuneCountInString(label.Text) > 75 ||
						e.ActionID == "" || actions[e.ActionID] || len(e.ActionID) > 255 || len(e.Value) > 2000 || len(elements) > 25 || !slices.Contains([]string{"", "primary", "danger"}, e.Style) {
						return "invalid_blocks"
					}
					actions[e.ActionID] = true
					if c := e.Confirm; c != nil && (c.Title.Text == "" || utf8.RuneCountInString(c.Title.Text) > 100 || c.Text.Text == "" || utf8.RuneCountInString(c.Text.Text) > 300 ||
						c.Confirm.Text == "" || utf8.RuneCountInString(c.Confirm.Text) > 30) {
						return "invalid_blocks"
					}
				default:
					return "invalid_blocks"
				}
			}
		}
	}
	return ""
}

// socket is one of Socket Mode: a ticket opens one, once.
func (s *SlackApp) socket(w http.ResponseWriter, r *http.Request) {
	ticket, valid := r.URL.Query().Get("ticket"), false
	s.change(func() { valid = s.tickets[ticket]; delete(s.tickets, ticket) })
	if !valid {
		http.Error(w, "invalid ticket", http.StatusForbidden)
		return
	}
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &slackSocket{conn: conn}
	n := 0
	s.change(func() {
		s.sockets = append(s.sockets, c)
		s.opened++
		n = len(s.sockets)
		s.most = max(s.most, n)
	})
	defer s.change(func() { s.sockets = slices.DeleteFunc(s.sockets, func(o *slackSocket) bool { return o == c }) })
	defer conn.Close()
	ended := make(chan struct{})
	defer close(ended)
	go c.ping(ended)
	if c.write(map[string]any{
		"type": "hello", "num_connections": n, "connection_info": map[string]any{"app_id": SlackAppID}, "debug_info": map[string]any{"host": "applink-1", "approximate_connection_time": 18060},
	}) != nil {
		return
	}
	for {
		var ack struct {
			EnvelopeID string `json:"envelope_id"`
			Payload    json.RawMessage
		}
		if err := conn.ReadJSON(&ack); err != nil {
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				continue
			}
			return
		}
		s.change(func() {
			s.acked[ack.EnvelopeID] = time.Since(s.sentAt[ack.EnvelopeID])
			s.answers[ack.EnvelopeID] = ack.Payload
			if view := s.viewOf[ack.EnvelopeID]; view != "" {
				s.take(view, ack.Payload)
			}
		})
	}
}

// pingEvery is shorter than the silence that a client takes for a dead connection.
const pingEvery = 5 * time.Second

func (c *slackSocket) ping(ended <-chan struct{}) {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-ended:
			return
		case <-t.C:
			_ = c.conn.WriteControl(websocket.PingMessage, []byte("ping"), time.Now().Add(pingEvery))
		}
	}
}
