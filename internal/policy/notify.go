package policy

// How ordinary logins are told: the values of the setting notify.
const (
	NotifyAll     = "all"     // one by one
	NotifyUnusual = "unusual" // in the daily digest
	NotifyAuto    = "auto"    // one by one where they are few, else in the daily digest
)
