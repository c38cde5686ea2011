// Package watch puts together what watches a host: sources give lines, parsers
// and patterns understand them, attacks are found, and what is to be told
// becomes an event.
//
// It must never reach net/http: what it finds goes into the spool. It knows no
// settings file: it gets its settings as values.
package watch
