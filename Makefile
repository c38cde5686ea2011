# What is run often. CONTRIBUTING.md says more; .ci/run is the gate.

GO ?= go

.PHONY: build test e2e gate bench lint

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o . ./cmd/...

# The everyday tests: under a minute.
test:
	$(GO) test ./...

# Everything: needs root, sshd, vsftpd, zsh, fish, tmux and strace, and fails
# where one is missing. SSHNOTIFY_E2E=1 skips what this machine can't do.
e2e:
	SSHNOTIFY_E2E=required $(GO) test -timeout 20m ./...

# What decides whether a change lands. Installs Debian packages.
gate:
	.ci/run

bench:
	$(GO) test -run '^$$' -bench . -benchtime 15x ./cmd/sshnotify

# Not part of the gate: needs golangci-lint.
lint:
	golangci-lint run
