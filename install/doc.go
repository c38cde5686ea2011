// Package install owns what sshnotify changes on a host so that logins are
// seen: it looks, plans, applies, undoes and checks. It edits PAM stacks and
// shells' start-up files, and puts in systemd units, folders and the service's
// user.
//
// Each thing that is put in is an artifact, named once in a table (system.go for
// the host, account.go for one account) that planning, uninstalling and doctor
// walk.
//
// Nothing is changed but by Plan.Apply, and every change of a plan can be shown
// before. A record of what was put in lets an uninstall take out just that,
// to the byte, and keep what its owner has changed since.
//
// It must never reach net/http, run sudo, print, ask, or touch a path outside
// Host.Root.
package install
