#!/bin/sh
# repository.sh FOLDER URL KEY PACKAGE… adds packages to a repository for apt and one for
# dnf and zypper, which it makes where there is none, and signs both with a key of gpg's
# keyring. FOLDER is what URL then serves, as plain files:
#
#   sshnotify.asc       the public key
#   sshnotify.sources   for /etc/apt/sources.list.d
#   sshnotify.repo      for /etc/yum.repos.d
#   apt/, rpm/          the repositories
#
# It needs apt-utils, createrepo-c, gpg and rpm.
set -eu
[ $# -ge 4 ] || {
	sed -n '2s/^# //p' "$0" >&2
	exit 2
}
folder=$1 url=${2%/} key=$3
shift 3
for program in apt-ftparchive createrepo_c gpg rpmsign; do
	command -v "$program" >/dev/null || {
		echo "repository: $program is missing: apt-get install apt-utils createrepo-c gpg rpm" >&2
		exit 1
	}
done
fingerprint=$(gpg --batch --with-colons --list-secret-keys "$key" | awk -F: '$1 == "fpr" { print $10; exit }')
[ -n "$fingerprint" ] || {
	echo "repository: gpg has no secret key $key" >&2
	exit 1
}
sign() { gpg --batch --yes --local-user "$fingerprint" --digest-algo SHA256 "$@"; }

mkdir -p "$folder/apt/pool" "$folder/rpm"
for package; do
	case $package in
	*.deb) cp "$package" "$folder/apt/pool/" ;;
	*.rpm)
		cp "$package" "$folder/rpm/"
		GPG_TTY=none rpmsign --define "_gpg_name $fingerprint" --define "__gpg $(command -v gpg)" --addsign "$folder/rpm/${package##*/}" >/dev/null
		;;
	*)
		echo "repository: $package is neither a .deb nor a .rpm" >&2
		exit 1
		;;
	esac
done
gpg --batch --armor --export "$fingerprint" >"$folder/sshnotify.asc"

# deb: every index is made before the file that vouches for it is put in place.
(
	cd "$folder/apt"
	architectures=
	for arch in $(for deb in pool/*.deb; do [ ! -e "$deb" ] || dpkg-deb --field "$deb" Architecture; done | sort -u); do
		architectures="$architectures $arch"
		index=dists/stable/main/binary-$arch
		mkdir -p "$index"
		apt-ftparchive --arch "$arch" packages pool >"$index/Packages"
		gzip -9nkf "$index/Packages"
	done
	[ -z "$architectures" ] || {
		apt-ftparchive -o APT::FTPArchive::MD5=no -o APT::FTPArchive::SHA1=no -o APT::FTPArchive::Release::Origin=sshnotify -o APT::FTPArchive::Release::Label=sshnotify \
			-o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
			-o APT::FTPArchive::Release::Components=main -o "APT::FTPArchive::Release::Architectures=${architectures# }" \
			release dists/stable >Release.new
		sign --clearsign --output InRelease.new Release.new
		sign --armor --detach-sign --output dists/stable/Release.gpg Release.new
		mv Release.new dists/stable/Release
		mv InRelease.new dists/stable/InRelease
	}
)

createrepo_c --quiet --no-database --update "$folder/rpm"
sign --armor --detach-sign --output "$folder/rpm/repodata/repomd.xml.asc" "$folder/rpm/repodata/repomd.xml"

cat >"$folder/sshnotify.sources" <<END
Types: deb
URIs: $url/apt
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/sshnotify.asc
END
cat >"$folder/sshnotify.repo" <<END
[sshnotify]
name=sshnotify
baseurl=$url/rpm
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=$url/sshnotify.asc
END
