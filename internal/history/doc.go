// Package history owns the memory of logins: who came from where, how often
// and when. It answers what no look-up service can, whether this person has
// ever come from there, and keeps what the daily digest has still to tell.
//
// The memory is one SQLite file, written by the worker alone and read by
// anybody who may. It also reads the memory that a host already has: wtmp,
// the journal and auth.log.
//
// It must never stop or delay a delivery: every method has a time limit of its
// own besides its caller's, and every error can be ignored. It must never be
// imported by the login hook, reach net/http, or be the only place of
// something that may not be lost.
//
// What is counted stands in the file twice: each login in the table login, and
// in the table grp a counter for each group of logins that is asked for (a
// user's, a user's from one network, and so on). Triggers keep the counters,
// so that no way of adding or deleting a login can forget one.
package history
