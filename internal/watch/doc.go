// Package watch puts together what watches: sources, parsers, the detection of
// attacks, patterns; and turns what they find into events.
//
// It must never reach net/http: what it finds goes into the spool.
package watch
