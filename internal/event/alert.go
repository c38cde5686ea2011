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
	Last    time.Time     // when the oldest and the newest of Count happened
	Rows    []Row         // of a digest
	Repeats []Row         // of earlier messages, counted along
	Lasted  time.Duration // of a logout: since its login; 0: unknown
	LoginID string        // of a logout: its login's id
	Zone    *time.Location
	Runbook string        // link, from the settings
	Late    time.Duration // how late it is told; shown from lateAfter on
	Test    bool          // sshnotify test: says so
}
