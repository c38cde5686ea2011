// Package docs holds the documentation to what the program does: the drawings
// of messages, the links, and what the README promises newcomers. The program
// has the reference of its settings from here, for a manual page.
package docs

import _ "embed"

// Settings is settings.md.
//
//go:embed settings.md
var Settings string
