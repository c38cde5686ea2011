package event

import "time"

// Alert is one message for one destination: everything there is to say, as
// values; the destination only puts it into its own form. An alert shows one
// event, or Count of them that are alike (Count > 1), or a digest of many
// (Rows is not empty; then Event, Facts and Person are zero).
type Alert struct {
	ID      string  // the event's, or the digest's own; the same in every retry
	Event   Event   // the newest of Count
	Facts   Facts   //
	Memory  Memory  //
	Verdict Verdict // the worst of a digest
	Person  string  // whose key it is; empty: not known
	Count   int     // how many events this alert tells; 1 for a plain one
	First   time.Time
	Last    time.Time // when the oldest and the newest of Count happened
	More    bool      // of Count above 1: earlier ones were told, too
	Refs    []string  // the ids of the events that it tells, the newest first; of a single one none is needed
	Rows    []Row     // of a digest
	// Hosts is how many hosts the events are of, where that is more than one, and
	// Accounts who was where, the worst first, of the first few: Event is of one of
	// them, and the Verdict's reasons are those of all.
	Hosts    int
	Accounts []Account
	Lasted   time.Duration // of a logout: since its login; 0: unknown
	LoginID  string        // of a logout: its login's id
	Zone     *time.Location
	Clock12  bool          // times are 02:15:04 PM
	Runbook  string        // link, from the settings
	Own      Words         // the destination's templates
	Late     time.Duration // how late it is told, by a fault or an outage; shown from lateAfter on
	Quiet    bool          // it was held for the destination's quiet hours
	Test     bool          // sshnotify test: says so
	// Parent is what the same destination gave back for what this one answers:
	// of a logout for its login, of an attack's end for the attack, of an update
	// for what it is about; Replaces for an earlier message of the same repeats,
	// which this one may take the place of, once Count, More and First are those of
	// all that both tell: see Merged. nil: there is none.
	Parent, Replaces Receipt
	Told             int       // how many events the message of Replaces tells
	ToldFirst        time.Time // when the oldest of them happened
	Reached          []string  // those of a destination's recipients who have it from an earlier try
	Unsure           bool      // an earlier try ended without an answer, and may have told it
	Ask              *Ask      // nil: nothing is asked
	Page             []byte    // the HTML of a report, for who can attach it; nil: there is none
	NewBar           bool      // the first message with a bar of this colour that its destination gets, where that must be explained
}

// Account is a user on a host.
type Account struct{ User, Host string }

// Words are templates of the owner's for parts of a message, with values in braces;
// of an empty one the words are built in.
type Words struct{ Headline, Text string }

// Merged returns the alert that tells what it tells and what the message of
// Replaces does.
func (a Alert) Merged() Alert {
	a.Count, a.More = a.Count+a.Told, false
	if a.ToldFirst.Before(a.First) {
		a.First = a.ToldFirst
	}
	return a
}

// Receipt is what a later message needs of a service to answer or edit one: ids,
// by the short names that the service gives them ("ts", "channel").
type Receipt map[string]string
