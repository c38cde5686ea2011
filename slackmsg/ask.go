package slackmsg

import (
	"github.com/slack-go/slack"

	"github.com/sshnotify/sshnotify/internal/message"
)

// maxSaid is how many lines stand below a message: the newest. Slack takes 50 blocks,
// and of a line far more than message makes (3,000 characters,
// https://docs.slack.dev/reference/block-kit/blocks/context-block).
const maxSaid = 10

// asked returns the attachment that stands below a message that can be answered:
// what was said, and the buttons. It is one of its own, because Slack takes no blocks
// beside an attachment's text, and no buttons but those of blocks are told over a
// socket (https://github.com/slackapi/bolt-python/issues/388).
func asked(q *message.Asked, colour string) (below Attachment, any bool) {
	var all slack.Blocks
	for _, l := range q.Said[max(0, len(q.Said)-maxSaid):] {
		all.BlockSet = append(all.BlockSet, slack.NewContextBlock("", plainText(render(l, asEscaped))))
	}
	var buttons []slack.BlockElement
	for _, b := range q.Buttons {
		label := plainText(Escape(b.Label))
		e := slack.NewButtonBlockElement(string(b.Action), q.Value, label)
		switch b.Mark {
		case message.Safe:
			e.Style = slack.StylePrimary
		case message.Danger:
			e.Style = slack.StyleDanger
		}
		if b.Sure != "" {
			e.Confirm = slack.NewConfirmationBlockObject(label, plainText(Escape(b.Sure)), label, nil)
		}
		buttons = append(buttons, e)
	}
	if len(buttons) > 0 {
		all.BlockSet = append(all.BlockSet, slack.NewActionBlock(q.ID, buttons...))
	}
	return Attachment{Attachment: slack.Attachment{Color: colour}, Blocks: &all}, len(all.BlockSet) > 0
}

// plainText is text in which Slack reads no markup and no emoji.
func plainText(s string) *slack.TextBlockObject {
	no := false
	return &slack.TextBlockObject{Type: slack.PlainTextType, Text: s, Emoji: &no}
}
