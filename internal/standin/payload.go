package standin

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Payload is a message as Slack understands it: what it does not know is left
// out, and still in Message.Raw.
type Payload struct {
	Text        string
	Attachments []Attachment
}

// Attachment is one of a message (https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments).
type Attachment struct {
	Color, Fallback, Pretext, Title, TitleLink, Text, Footer string

	Fields   []Field
	MrkdwnIn []string
	TS       int64 // Unix time, seconds; 0: none
	Blocks   json.RawMessage
}

// Field is one cell of an attachment's table.
type Field struct {
	Title, Value string
	Short        bool
}

// maxAttachments is documented at
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
const maxAttachments = 100

// The words that Slack refuses a payload with. missing_… and
// invalid_attachments are not documented, but well known in the field
// (https://github.com/slackapi/node-slack-sdk/issues/1112).
const (
	invalidPayload     = "invalid_payload"
	invalidAttachments = "invalid_attachments"
	tooManyAttachments = "too_many_attachments"
	noText             = "no_text"
	nothingToShow      = "missing_text_or_fallback_or_attachments"
)

// CheckSlack returns the word with which Slack refuses a payload; empty: it takes
// it.
func CheckSlack(raw []byte) string {
	_, reason := parsePayload(raw)
	return reason
}

// object is a JSON object by its keys, which unlike those of a struct mind
// upper and lower case, as Slack does.
type object map[string]json.RawMessage

// has reports whether a key has a value other than null.
func (o object) has(key string) bool {
	v, ok := o[key]
	return ok && string(v) != "null"
}

func (o object) text(key string) string {
	var s string
	json.Unmarshal(o[key], &s)
	return s
}

// The types of the keys that Slack knows. A key with null counts as not there.
var (
	messageKeys = map[string]func(json.RawMessage) bool{
		"text": isString, "channel": isString, "username": isString, "icon_emoji": isString, "icon_url": isString,
		"thread_ts": isString, "parse": isString, "response_type": isString,
		"attachments": isArray, "blocks": isArray, "metadata": isObject,
		"mrkdwn": isBool, "unfurl_links": isBool, "unfurl_media": isBool, "reply_broadcast": isBool,
		"replace_original": isBool, "delete_original": isBool, "link_names": isFlag,
	}
	attachmentKeys = map[string]func(json.RawMessage) bool{
		"color": isString, "fallback": isString, "pretext": isString, "title": isString, "title_link": isString,
		"text": isString, "footer": isString, "footer_icon": isString, "author_name": isString,
		"author_link": isString, "author_icon": isString, "image_url": isString, "thumb_url": isString,
		"callback_id": isString, "attachment_type": isString,
		"ts": isInteger, "fields": isArray, "mrkdwn_in": isArray, "actions": isArray, "blocks": isArray,
	}
	fieldKeys = map[string]func(json.RawMessage) bool{"title": isString, "value": isString, "short": isBool}
)

// besideBlocks are the keys of an attachment that may stand beside blocks. Any
// other one that Slack knows makes it refuse the message, even with null
// (https://github.com/HubSpot/slack-client/issues/136).
var besideBlocks = map[string]bool{"blocks": true, "color": true, "fallback": true}

// shows are the keys of an attachment that give something to see.
var shows = []string{"text", "fallback", "pretext", "title", "author_name", "image_url", "thumb_url"}

// parsePayload reads a message and returns Slack's word for why it is refused, or
// "".
func parsePayload(raw []byte) (p Payload, refused string) {
	if !utf8.Valid(raw) {
		return Payload{}, invalidPayload
	}
	o, ok := parseObject(raw, messageKeys)
	if !ok {
		return Payload{}, invalidPayload
	}
	p = Payload{Text: o.text("text")}
	list := parseArray(o["attachments"])
	blocks := parseArray(o["blocks"])
	if len(list) > maxAttachments {
		return Payload{}, tooManyAttachments
	}
	seen := len(blocks) > 0 || strings.TrimSpace(p.Text) != ""
	if !seen && len(list) == 0 {
		return Payload{}, noText
	}
	for _, item := range list {
		a, visible, refused := parseAttachment(item)
		if refused != "" {
			return Payload{}, refused
		}
		seen = seen || visible
		p.Attachments = append(p.Attachments, a)
	}
	if !seen {
		return Payload{}, nothingToShow
	}
	return p, ""
}

func parseAttachment(raw json.RawMessage) (a Attachment, visible bool, refused string) {
	o, ok := parseObject(raw, attachmentKeys)
	if !ok {
		return a, false, invalidPayload
	}
	if _, mixed := o["blocks"]; mixed {
		for key := range o {
			if attachmentKeys[key] != nil && !besideBlocks[key] {
				return a, false, invalidAttachments
			}
		}
	}
	a = Attachment{
		Color: o.text("color"), Fallback: o.text("fallback"), Pretext: o.text("pretext"), Title: o.text("title"),
		TitleLink: o.text("title_link"), Text: o.text("text"), Footer: o.text("footer"),
	}
	if o.has("ts") {
		a.TS, _ = strconv.ParseInt(string(o["ts"]), 10, 64)
	}
	if o.has("blocks") {
		a.Blocks = o["blocks"]
	}
	blocks := parseArray(a.Blocks)
	fields := parseArray(o["fields"])
	for _, item := range fields {
		f, ok := parseObject(item, fieldKeys)
		if !ok {
			return a, false, invalidPayload
		}
		a.Fields = append(a.Fields, Field{Title: f.text("title"), Value: f.text("value"), Short: string(f["short"]) == "true"})
	}
	names := parseArray(o["mrkdwn_in"])
	for _, item := range names {
		var name string
		if !isString(item) || json.Unmarshal(item, &name) != nil {
			return a, false, invalidPayload
		}
		a.MrkdwnIn = append(a.MrkdwnIn, name)
	}
	visible = len(blocks) > 0 || len(fields) > 0
	for _, key := range shows {
		visible = visible || o.text(key) != ""
	}
	return a, visible, ""
}

// parseObject reads a JSON object and checks the types of the keys it knows.
func parseObject(raw json.RawMessage, types map[string]func(json.RawMessage) bool) (object, bool) {
	if !isObject(raw) {
		return nil, false
	}
	var o object
	if json.Unmarshal(raw, &o) != nil {
		return nil, false
	}
	for key, is := range types {
		if o.has(key) && !is(o[key]) {
			return nil, false
		}
	}
	return o, true
}

// parseArray returns the items of an array that was found to be one; nothing and
// null have none.
func parseArray(raw json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	json.Unmarshal(raw, &list)
	return list
}

// The following tell what valid JSON is by its first character.

func isString(raw json.RawMessage) bool { return starts(raw, '"') }
func isArray(raw json.RawMessage) bool  { return starts(raw, '[') }
func isObject(raw json.RawMessage) bool { return starts(raw, '{') }
func isBool(raw json.RawMessage) bool   { return starts(raw, 't') || starts(raw, 'f') }

// isFlag takes the bare 0 and 1 that Slack's older keys came with.
func isFlag(raw json.RawMessage) bool {
	return isBool(raw) || string(raw) == "0" || string(raw) == "1"
}

// isInteger takes a number without fraction, exponent and quotes.
func isInteger(raw json.RawMessage) bool {
	_, err := strconv.ParseInt(string(raw), 10, 64)
	return err == nil
}

func starts(raw json.RawMessage, c byte) bool {
	s := strings.TrimLeft(string(raw), " \t\r\n")
	return s != "" && s[0] == c
}
