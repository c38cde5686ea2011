package channel

// slackErrors are the words with which an incoming webhook refuses a message
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
// and what was seen in the field).
var slackErrors = map[string]struct {
	class Class
	plain bool // worth trying as plain text
	means string
}{
	"invalid_payload":      {Bug, false, "Slack can't read the message"},
	"no_text":              {Bug, false, "Slack finds no text in the message"},
	"too_many_attachments": {Bug, false, "the message has more attachments than Slack takes"},
	"user_not_found":       {Bug, false, "the message is for a user that Slack does not know"},

	"invalid_attachments":                     {Bug, true, "Slack does not take the attachment"},
	"invalid_blocks":                          {Bug, true, "Slack does not take the message's blocks"},
	"invalid_blocks_format":                   {Bug, true, "Slack does not take the message's blocks"},
	"msg_blocks_too_long":                     {Bug, true, "the message is too long for Slack"},
	"msg_too_long":                            {Bug, true, "the message is too long for Slack"},
	"missing_text_or_fallback_or_attachments": {Bug, true, "Slack finds no text in the message"},

	"action_prohibited":                 {Broken, false, "the workspace's administrators forbid this webhook to post"},
	"posting_to_general_channel_denied": {Broken, false, "the workspace's administrators forbid posting to #general; make a webhook for another channel"},
	"invalid_token":                     {Broken, false, "the webhook's URL is wrong or was revoked; make a new one"},
	"token_revoked":                     {Broken, false, "the webhook was revoked; make a new one"},
	"account_inactive":                  {Broken, false, "who made the webhook has left the workspace, or its app was removed; make a new one"},
	"channel_not_found":                 {Broken, false, "the channel was deleted, or the webhook may not post there; make a webhook for another channel"},
	"channel_is_archived":               {Broken, false, "the channel was archived; unarchive it, or make a webhook for another one"},
	"no_service":                        {Broken, false, "the webhook was removed, disabled or revoked; make a new one"},
	"no_service_id":                     {Broken, false, "the webhook's URL is not complete; copy it again"},
	"no_active_hooks":                   {Broken, false, "the webhook was disabled; make a new one"},
	"no_team":                           {Broken, false, "Slack does not know the workspace in the webhook's URL; copy it again"},
	"team_disabled":                     {Broken, false, "the workspace was disabled"},

	"rollup_error": {Again, false, "something went wrong within Slack"},
	"rate_limited": {Again, false, "too many messages, Slack asks to wait"},
	"ratelimited":  {Again, false, "too many messages, Slack asks to wait"},
}
