#!/bin/sh
# reproducible.sh builds the release of HEAD twice, with what may differ from one machine
# to the next: the folder, the cache of compiled packages, umask, time zone and locale. It
# fails where an archive, a package or an SBOM is not the same bytes. Half an hour on two
# cores; needs the network.
set -eu
root=$(git rev-parse --show-toplevel)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
goreleaser() { go run github.com/goreleaser/goreleaser/v2@v2.16.0 "$@"; }
for n in one two; do
	git clone --quiet "$root" "$dir/$n"
	cd "$dir/$n"
	if [ "$n" = two ]; then
		umask 077
		export GOCACHE="$dir/cache" TZ=Asia/Kathmandu LC_ALL=C
	fi
	goreleaser check
	goreleaser release --snapshot --clean --skip=sign
done
cmp "$dir"/one/dist/sshnotify_*_sha256.txt "$dir"/two/dist/sshnotify_*_sha256.txt
echo "the same bytes:"
cat "$dir"/one/dist/sshnotify_*_sha256.txt
