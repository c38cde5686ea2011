# What is run often. CONTRIBUTING.md says more; .ci/run is the gate.

GO ?= go

.PHONY: build test e2e gate bench pictures lint

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o . ./cmd/...

# The everyday tests: under a minute.
test:
	$(GO) test ./...

# Everything: needs root, sshd, vsftpd, Postfix, saslpasswd2, zsh, fish, tmux and
# strace, and fails where one is missing. SSHNOTIFY_E2E=1 skips what this machine can't do.
e2e:
	SSHNOTIFY_E2E=required $(GO) test -timeout 20m ./...

# What decides whether a change lands. Installs Debian packages.
gate:
	.ci/run

bench:
	$(GO) test -run '^$$' -bench . -benchtime 15x ./cmd/sshnotify

# How a mail looks on a phone and on a desk, by day and at night: docs/mail-*.png
# of the golden mail. Needs chromium.
pictures:
	for size in narrow:360,410 wide:800,256; do for scheme in dark:0 light:1; do \
		chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
			--window-size=$${size#*:} --blink-settings=preferredColorScheme=$${scheme#*:} \
			--screenshot=docs/mail-$${size%:*}-$${scheme%:*}.png \
			"file://$(CURDIR)/internal/channel/testdata/mail/login-critical.html" || exit 1; \
	done; done

# Not part of the gate: needs golangci-lint.
lint:
	golangci-lint run
