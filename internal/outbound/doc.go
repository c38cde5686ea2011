// Package outbound owns the one HTTP client of the program, the Secret type,
// the redaction of errors, and the arithmetic of retries (RetryAfter, Backoff).
//
// It must never follow a redirect, take a proxy from the environment, speak
// plain http to anything but this machine, send a POST again that may have
// arrived, or let a URL's path, query or userinfo, or the value of a header,
// into an error or a log.
package outbound
