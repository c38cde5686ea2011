package slackmsg

import (
	"github.com/slack-go/slack"

	"github.com/sshnotify/sshnotify/internal/message"
)

// The names of a dialog's parts, as its answer has them.
const (
	DialogCallback = "respond"
	OptionsBlock   = "options"
	OptionsAction  = "chosen"
)

// View is a modal view (https://docs.slack.dev/reference/views/modal-views).
type View = slack.ModalViewRequest

// Dialog returns a view, whose answer carries meta.
func Dialog(d message.Dialog, meta string) *View {
	v := &View{Type: slack.VTModal, Title: plainText(d.Title), Close: plainText("Close"), CallbackID: DialogCallback, PrivateMetadata: meta}
	for _, l := range d.Lines {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, slack.NewSectionBlock(plainText(render(l, asEscaped)), nil, nil))
	}
	if len(d.Options) > 0 {
		var all []*slack.OptionBlockObject
		for _, o := range d.Options {
			var note *slack.TextBlockObject
			if o.Note != "" {
				note = plainText(Escape(o.Note))
			}
			all = append(all, slack.NewOptionBlockObject(o.Value, plainText(Escape(o.Label)), note))
		}
		input := slack.NewInputBlock(OptionsBlock, plainText("Actions"), nil, slack.NewCheckboxGroupsBlockElement(OptionsAction, all...))
		input.Optional = true // whoever chooses nothing is told so
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, input)
	}
	if d.Submit != "" {
		v.Submit = plainText(d.Submit)
	}
	return v
}
