# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What all scripts of the lab share. Source it: it sets strict mode, TOP (the checkout) and CACHE
# (everything downloaded or built outside of build/), and defines
#
#   say, warn, die         one line on stderr; die ends the script
#   step 'what' CMD...     runs CMD with its output in a log, shows the time it takes, and shows
#                          the end of the log when it fails
#   lock NAME              waits for, and holds until the script ends, the lock NAME
#   with_lock NAME CMD...  holds the lock NAME while CMD runs
#   lab_lock               names the lock of those who use build/ and the cache
#   content_key WORD...    a short key of the words, and of the content of those that are files
#   publish TMPDIR FINAL   makes a finished directory visible in one move
#   point LINK TARGET      moves a symbolic link in one move
#   buildroot_run CMD...   runs CMD in the build root, as root there, in this very directory
#   demangle               shows Rust functions by module, type and name
#   can_sudo               whether `sudo -n` may be used, after a password if there is a terminal to ask for it

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034 # for the scripts that source this
SETUP=$TOP/scripts/setup

me=${0##*/}

say() { printf '%s\n' "$*" >&2; }
warn() { printf '%s: warning: %s\n' "$me" "$*" >&2; }
die() {
	printf '%s: %s\n' "$me" "$*" >&2
	exit 1
}

if [ -z "${XDG_CACHE_HOME:-}" ] && [ -z "${HOME:-}" ]; then
	die "neither HOME nor XDG_CACHE_HOME is set: set XDG_CACHE_HOME to a directory with 15 GB of room"
fi
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}
case $CACHE$TOP in
/*) ;;
*) die "XDG_CACHE_HOME is not an absolute path: $CACHE" ;;
esac
case $CACHE$TOP in
*[[:space:]:]*) die "Kbuild cannot work in a path with a space or a colon: move $TOP, or set XDG_CACHE_HOME" ;;
esac
mkdir -p "$CACHE/rust-irq-suite" 2>/dev/null ||
	die "cannot write to $CACHE: set XDG_CACHE_HOME to a directory of yours with 15 GB of room"
CACHE=$(cd "$CACHE/rust-irq-suite" && pwd -P)
# One that was made by sudo in a user's home is root's.
mkdir -p "$CACHE"/{locks,log,tmp} 2>/dev/null || :
[ -w "$CACHE/locks" ] ||
	die "$CACHE is another user's: run sudo chown -R $(id -un): $CACHE, or set XDG_CACHE_HOME to a directory of yours"

# Shows on stderr that `what` is still going on, from the third second on, until killed.
ticker() {
	local what=$1 log=$2 start=$SECONDS wait=3 last
	# A ticker must not outlive the script that started it, nor hold its locks.
	while sleep "$wait" && kill -0 "$$" 2>/dev/null; do
		wait=10
		last=
		[ ! -s "$log" ] || last=$(tail -c 400 "$log" 2>/dev/null | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-70) || :
		say "  … $what, $((SECONDS - start)) s${last:+: $last}"
	done
}

step() {
	local what=$1 log status=0 start=$SECONDS tick
	shift
	log=$CACHE/log/$me-$$.log
	say "$what"
	ticker "$what" "$log" </dev/null >/dev/null 8>&- 9>&- &
	tick=$!
	# Not `if`: the command may be a function, in which set -e must still work.
	set +e
	(
		set -e
		"$@"
	) >"$log" 2>&1 </dev/null
	status=$?
	set -e
	kill "$tick" 2>/dev/null || :
	wait "$tick" 2>/dev/null || :
	if [ "$status" -ne 0 ]; then
		mv -f "$log" "$CACHE/log/$me-failed.log"
		tail -n 25 "$CACHE/log/$me-failed.log" >&2
		die "$what: failed after $((SECONDS - start)) s (whole log: $CACHE/log/$me-failed.log)"
	fi
	rm -f "$log"
	[ $((SECONDS - start)) -lt 3 ] || say "$what: done in $((SECONDS - start)) s"
}

lock() {
	local file=$CACHE/locks/$1
	exec 9>>"$file"
	flock -n 9 || {
		say "waiting for another run that holds $file"
		flock 9
	}
}

with_lock() {
	local file=$CACHE/locks/$1 status=0
	shift
	(
		flock -n 8 || {
			say "waiting for another run that holds $file"
			flock 8
		}
		"$@"
	) 8>>"$file"
}

# The file that the labs of this checkout hold locked, together, while they are at work.
lab_lock() { echo "$CACHE/locks/lab-$(content_key "$TOP")"; }

content_key() {
	local word
	for word in "$@"; do
		if [ -f "$word" ]; then cat "$word"; else printf '%s\n' "$word"; fi
	done | sha256sum | cut -c 1-16
}

publish() {
	[ ! -e "$2" ] || die "$2 is there already"
	mkdir -p "${2%/*}"
	mv -T "$1" "$2"
}

point() {
	ln -sfn "$2" "$1.$$"
	mv -fT "$1.$$" "$1"
}

# The newest build root, see scripts/setup/buildroot.
BUILDROOT=$CACHE/buildroot

# Removes a directory, also one with files of user namespaces' other users.
remove_tree() {
	[ -e "$1" ] || return 0
	if ! rm -rf --one-file-system "$1" 2>/dev/null; then
		in_namespace rm -rf --one-file-system "$1" || die "cannot remove $1: remove it as root"
	fi
}

# Runs a command with a mount namespace (and a user namespace, when not root) of its own.
in_namespace() {
	if [ "$(id -u)" -eq 0 ]; then
		unshare --mount --propagation private -- "$@"
	else
		unshare --user --map-root-user --map-auto --mount --propagation private -- "$@"
	fi
}

# Runs a command in the build root. Mounts live in a namespace of their own: nothing stays behind,
# however this ends, and when this ends everything in it is killed. The checkout, the cache and
# the directories in BUILDROOT_BIND are seen at their own paths.
buildroot_run() {
	[ -d "$BUILDROOT/usr" ] || die "there is no build root: run scripts/setup/buildroot"
	# shellcheck disable=SC2086 # BUILDROOT_BIND is a list
	in_namespace unshare --pid --fork --kill-child -- \
		bash "$TOP/scripts/setup/enter" "$(readlink -f "$BUILDROOT")" "$PWD" \
		"$TOP" "$CACHE" ${BUILDROOT_BIND:-} -- "$@"
}

# Of the name of a Rust function: its module, type and name, without hashes and type parameters.
demangle() {
	buildroot_run c++filt | sed -uE 's/\[[0-9a-f]*\]//g; s/<([^<> ]*).*>::([^<>]*)$/\1::\2/; s/::<.*$//'
}

# Whether sudo does what it is asked. Who sits at a terminal may have to give a password first.
can_sudo() { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && [ -t 2 ] && sudo -v >&2; }; }; }

jobs() { nproc; }
