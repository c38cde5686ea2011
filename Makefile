# What is run often. CONTRIBUTING.md says more; .ci/run is the gate.

GO ?= go

# Of the tag; without one the programs say what the Go tool knows.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null | sed 's/^v//')
BUILDAH ?= buildah

.PHONY: build test docs-test e2e gate soak bench bench-fleet repository reproducible image pictures report-pictures lint

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w -X github.com/sshnotify/sshnotify/internal/release.version=$(VERSION)' -o . ./cmd/...

# The everyday tests: under a minute on two idle cores.
test:
	$(GO) test ./...

# Each command of the documentation, in booted guests: .ci/run makes their first copy. It
# needs root. Then what else holds the pages to the program.
docs-test:
	$(GO) test ./docs
	$(GO) test -run 'Documented|Settings|Example|Channels' ./cmd ./internal/config ./internal/gate
	SSHNOTIFY_GUEST="$$(ls -d $${XDG_CACHE_HOME:-$$HOME/.cache}/sshnotify-gate/bookworm-*/ | tail -n 1)" \
		$(GO) test -timeout 20m -run '^TestDocumentationHost$$' -v ./tools/release

# Everything: needs root, sshd, vsftpd, Postfix, saslpasswd2, Chromium, zsh, fish, tmux and
# strace, and fails where one is missing. SSHNOTIFY_E2E=1 skips what this machine can't do.
e2e:
	SSHNOTIFY_E2E=required $(GO) test -timeout 20m ./...

# What decides whether a change lands. Installs Debian packages.
gate:
	.ci/run

# The gate with all that takes long, an hour on two cores: other systems in guests, fleets of
# two thousand hosts, a minute for each fuzz target. Its log is soak-DATE.log.
soak:
	bash -o pipefail -c 'SSHNOTIFY_SOAK=1 FUZZTIME=1m .ci/run 2>&1 | tee soak-$$(date +%F).log'

bench:
	$(GO) test -run '^$$' -bench . -benchtime 15x ./cmd/sshnotify

# What a hub takes, alone and behind three servers of NATS, on the disk of TMPDIR.
bench-fleet:
	$(GO) test -run '^$$' -bench FleetHub -benchtime 5x -timeout 20m ./cmd/sshnotify
	$(GO) test -run '^$$' -bench Cluster -benchtime 20000x -count 3 -timeout 20m ./internal/fleet/jetstream

# A repository for apt and dnf of the packages in build/, signed with KEY of gpg's keyring,
# in build/repository, which URL then serves.
repository:
	tools/release/repository.sh build/repository "$(URL)" "$(KEY)" $(wildcard build/*.deb build/*.rpm)

# The release twice: the same bytes, or it fails. Half an hour.
reproducible:
	tools/release/reproducible.sh

# The hub's image, in build/sshnotify-image.tar for docker load, podman load or skopeo.
# Needs buildah and ca-certificates, and neither root's rights nor a daemon.
image:
	rm -rf build/image build/sshnotify-image.tar
	mkdir -p build/image/usr/bin build/image/etc/ssl/certs build/image/state
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -X github.com/sshnotify/sshnotify/internal/release.version=$(VERSION)' -o build/image/usr/bin/sshnotify ./cmd/sshnotify
	cp /etc/ssl/certs/ca-certificates.crt build/image/etc/ssl/certs/
	find build/image -exec touch --no-dereference --date "@$$(git log -1 --format=%ct)" {} +
	$(BUILDAH) build --isolation chroot --format docker --timestamp "$$(git log -1 --format=%ct)" \
		--build-arg VERSION=$(or $(VERSION),dev) --file tools/release/image/Containerfile --tag sshnotify:$(or $(VERSION),dev) build/image
	$(BUILDAH) push --quiet sshnotify:$(or $(VERSION),dev) docker-archive:build/sshnotify-image.tar:sshnotify:$(or $(VERSION),dev)

# How a mail looks on a phone and on a desk, by day and at night: docs/mail-*.png
# of the golden mail. Needs chromium.
pictures:
	for size in narrow:360,410 wide:800,256; do for scheme in dark:0 light:1; do \
		chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
			--window-size=$${size#*:} --blink-settings=preferredColorScheme=$${scheme#*:} \
			--screenshot=docs/mail-$${size%:*}-$${scheme%:*}.png \
			"file://$(CURDIR)/internal/channel/testdata/mail/login-critical.html" || exit 1; \
	done; done

# How the report looks: docs/report-*.png of the golden page. Needs chromium; pngquant and
# optipng make them smaller, where they are there. A window is no narrower than 500 pixels, so that the narrow one is
# a frame in it.
report-pictures:
	set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	printf '<body style="margin:0"><iframe src="file://%s" style="border:0;width:400px;height:1000px"></iframe>' \
		"$(CURDIR)/internal/report/testdata/page.html" > $$dir/narrow.html; \
	for size in narrow:400,1000:$$dir/narrow.html wide:1180,1330:$(CURDIR)/internal/report/testdata/page.html; do for scheme in dark:0 light:1; do \
		file=$${size##*:}; rest=$${size%:*}; out=docs/report-$${rest%:*}-$${scheme%:*}.png; \
		chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir=$$dir/profile \
			--window-size=$${rest#*:} --blink-settings=preferredColorScheme=$${scheme#*:} --screenshot=$$out "file://$$file"; \
		if command -v pngquant optipng >/dev/null; then pngquant --force --ext .png --quality 60-95 $$out; optipng -quiet -o5 $$out; fi; \
	done; done

# Not part of the gate: needs golangci-lint.
lint:
	golangci-lint run
