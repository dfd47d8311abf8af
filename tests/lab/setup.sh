#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the set-up itself
# lab-timeout: 300
# lab-may-skip: there is no kunit kernel
#
# What the set-up promises: a kernel that can't take the modules is refused in one line that says why, what is
# made is whole and made once, whatever runs beside it or ended before, and what is missing is named.
#
# All of it in a copy of the checkout with a cache of its own. Only the build root is the real one; the kernel
# comes from tests/lib/archive.sh.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh
. tests/lib/archive.sh
. scripts/setup/versions

plan 77
unset KDIR BUILD_NAME RUSTC LLVM CC MAKEFLAGS LAB_KERNEL INSTALL_MOD_PATH
out=$(mktemp -d)
on_exit rm -rf "$out"
checkout=$PWD
pinned=${KERNEL_ABI%%+*}
tree=$out/tree
buildroot=$(readlink -f "$(scripts/setup/buildroot)") || bail "there is no build root"
mkdir "$tree"
tar -c --exclude=./build --exclude=./.git --exclude=./tools/target . | tar -x -C "$tree" || bail "no copy of the checkout"

user_cache=${XDG_CACHE_HOME:-$HOME/.cache}

# A cache that has got as far as the build root.
cache=$out/cache/rust-irq-suite
mkdir -p "$cache"
ln -s "$buildroot" "$cache/${buildroot##*/}"
export XDG_CACHE_HOME=$out/cache
cd "$tree" || exit

# Functions of the set-up, in a shell as its scripts have it.
with_setup() {
	local room=$1
	shift
	# shellcheck disable=SC2016 # the inner shell's own
	bash -c '. scripts/lib.sh; . "$SETUP/$1"; shift; "$@"' setup "$room" "$@"
}

in_buildroot() { with_setup versions buildroot_run "$@"; }

# says STATUS REGEX CMD...: the command must end so, with one line on stderr and nothing on stdout.
says() {
	local want=$1 regex=$2 status=0
	shift 2
	"$@" >"$out/stdout" 2>"$out/stderr" || status=$?
	cat "$out/stdout" "$out/stderr"
	[ "$status" -eq "$want" ] && [ ! -s "$out/stdout" ] && [ "$(wc -l <"$out/stderr")" -eq 1 ] &&
		[[ $(cat "$out/stderr") =~ $regex ]]
}

# --- make modules KDIR=… ---

# A directory that looks like one a kernel was built in, but for the files that are named.
fake_kdir() {
	local file
	rm -rf "$out/kdir"
	mkdir -p "$out/kdir/include/config" "$out/kdir/rust"
	echo 'modules: ;' >"$out/kdir/Makefile"
	echo "$pinned" >"$out/kdir/include/config/kernel.release"
	printf '%s\n' CONFIG_RUST=y 'CONFIG_RUSTC_VERSION_TEXT="rustc 1.2.3 (of a test)"' CONFIG_CC_IS_GCC=y \
		CONFIG_GCC_VERSION=140200 >"$out/kdir/include/config/auto.conf"
	touch "$out/kdir/rust/libkernel.rmeta" "$out/kdir/Module.symvers"
	for file in "$@"; do rm "$out/kdir/$file"; done
}
fake_rustc() {
	printf '#!/bin/sh\necho "rustc %s (of a test)"\n' "$1" >"$out/rustc"
	chmod +x "$out/rustc"
}
export RUSTC=$out/rustc KDIR=$out/kdir

fake_rustc 1.2.3
check "KDIR: no such directory" says 1 "KDIR=$out/kdir: there is no such directory" scripts/modules
fake_kdir Makefile
check "KDIR: no Makefile" says 1 "KDIR=$out/kdir is no kernel tree: it has no Makefile" scripts/modules
fake_kdir include/config/kernel.release
check "KDIR: not built" says 1 "KDIR=$out/kdir has not been built: run make there first" scripts/modules
fake_kdir include/config/auto.conf
check "KDIR: not configured" says 1 "KDIR=$out/kdir has not been built: run make there first" scripts/modules
fake_kdir
echo 7.2.9 >"$out/kdir/include/config/kernel.release"
check "KDIR: 7.2" says 1 "KDIR=$out/kdir is Linux 7\.2\.9: the suite needs $KERNEL_MIN or later" scripts/modules
fake_kdir
sed -i /CONFIG_RUST=/d "$out/kdir/include/config/auto.conf"
check "KDIR: no CONFIG_RUST" says 1 "KDIR=$out/kdir: kernel $pinned was built without CONFIG_RUST" scripts/modules
fake_kdir rust/libkernel.rmeta
check "KDIR: no Rust metadata" says 1 "KDIR=$out/kdir has no Rust metadata \(rust/libkernel\.rmeta\)" scripts/modules
fake_kdir Module.symvers
check "KDIR: no Module.symvers" says 1 "KDIR=$out/kdir has no Module\.symvers: run make there to the end" scripts/modules
fake_kdir
echo "include /usr/src/linux-headers-$pinned-common/Makefile" >"$out/kdir/Makefile"
check "KDIR: Debian's headers, moved" says 1 "they belong in /usr/src/linux-headers-$pinned, not in $out/kdir" scripts/modules
fake_kdir
fake_rustc 1.2.4
check "KDIR: another rustc" says 1 "was built by rustc 1\.2\.3 \(of a test\), but $out/rustc is rustc 1\.2\.4 \(of a test\)" scripts/modules
rm "$out/rustc"
check "KDIR: no rustc" says 1 "no $out/rustc here: kernel $pinned was built by rustc 1\.2\.3 \(of a test\); install it" scripts/modules
fake_rustc 1.2.3
assert_eq "KDIR: with nothing of that amiss the modules are built" "$tree/build/$pinned" "$(scripts/modules 2>"$out/stderr")"
check "make install says that there are no modules" says 1 "$tree/build/$pinned has no modules: run make modules" \
	scripts/install built "$tree/build/$pinned"
echo 'modules: ; @echo "error[E0061]: one of a test"; false' >"$out/kdir/Makefile"
last_line() { "$@" 2>&1 >/dev/null | tail -n 1; }
assert_match "modules that do not build for the kernel they are written for" "^modules: modules for kernel $pinned: failed" \
	"$(last_line scripts/modules)"
echo 99.1.1-own >"$out/kdir/include/config/kernel.release"
check_fails "modules that do not build for a newer one" scripts/modules
assert_match "the Rust interfaces may have changed" "is written for Linux $pinned, this is 99\.1\.1-own\.$" "$(last_line scripts/modules)"
unset RUSTC KDIR

# --- Symbols ---

mkdir "$out/rust"
for symbol in one two three; do echo "EXPORT_SYMBOL_RUST_GPL($symbol);"; done >"$out/rust/exports_core_generated.h"
symvers() { for symbol in "$@"; do printf '0x12345678\t%s\tvmlinux\tEXPORT_SYMBOL_GPL\t\n' "$symbol"; done >"$out/symvers"; }
compare() { with_setup metadata.sh compare_symbols "$out/rust" "$out/symvers"; }
symvers one other two three
check "symbols: the kernel has them all" compare
symvers one three
check "symbols: one that the kernel lacks" says 1 "other source or by another compiler: it lacks 1 of 3 symbols, the first is two$" compare
symvers one three
printf '0x12345678\ttwo\tdrivers/some\tEXPORT_SYMBOL_GPL\t\n' >>"$out/symvers"
check "symbols: one that only a module has" says 1 "it lacks 1 of 3 symbols, the first is two$" compare
: >"$out/rust/exports_core_generated.h"
check "symbols: crates that export nothing prove nothing" says 1 "export nothing$" compare

# --- Options of a kernel's configuration ---

printf '%s\n' CONFIG_A=y CONFIG_B=m 'CONFIG_TEXT="a b"' '# CONFIG_OFF is not set' CONFIG_STUCK=y >"$out/config"
sticks() {
	printf '%s\n' "$@" >"$out/fragment"
	with_setup config.sh check_config "$out/config" "$out/fragment"
}
check "options: as asked for" sticks '# a comment' CONFIG_A=y CONFIG_B=m 'CONFIG_TEXT="a b"' CONFIG_OFF=n '# CONFIG_GONE is not set'
check "options: dropped" says 1 "configuration refuses CONFIG_DROPPED=y \(scripts/kconfig\)" sticks CONFIG_A=y CONFIG_DROPPED=y
check "options: another value" says 1 "configuration refuses CONFIG_B=y " sticks CONFIG_B=y
check "options: on, though asked to be off" says 1 "refuses CONFIG_STUCK=n # CONFIG_A is not set " sticks CONFIG_STUCK=n '# CONFIG_A is not set'

# --- A kernel, from the archive to the cache ---

archive_has "$cache/archive" "$KERNEL_ABI" "$KERNEL_VERSION" || bail "no archive"
MIRROR=$(mirror_of "$cache/archive")
export MIRROR
echo 0 >"$cache/slow"
echo CONFIG_KUNIT=y >"$cache/refused"

assert_eq "the pinned kernel, where the archive has it" "$KERNEL_ABI $KERNEL_VERSION linux-source-${pinned%.*}" \
	"$(scripts/setup/resolve 2>"$out/stderr")"
# What runs that were killed may have left: none of it may be taken for the whole.
mkdir -p "$cache/tmp/source/tree/half" "$cache/tmp/kernel-kunit/half" "$cache/tmp/dl"
echo half >"$cache/tmp/dl/half_1_amd64.deb"
check_fails "an option that the kernel drops stops its build" scripts/setup/kernel kunit
assert_match "and is named" "configuration refuses CONFIG_KUNIT=y \(scripts/kconfig\)" \
	"$(scripts/setup/kernel kunit 2>&1 | tail -n 2 | head -n 1)"
check_fails "and nothing of it is shown" test -e "$cache/kernels/kunit"
check_fails "nor built" test -e "$cache/builds"

echo none >"$cache/refused"
mkdir -p "$cache/tmp/kernel-kunit/half"
echo 3 >"$cache/slow"
scripts/setup/kernel kunit >"$out/first" 2>"$out/first.err" &
pid=$!
check "a kernel is being built" wait_for 60 test -e "$cache/builds"
status=0
scripts/setup/kernel kunit >"$out/second" 2>"$out/second.err" || status=$?
assert_eq "a second run that wants the same" 0 "$status"
assert_eq "waits, and says for what" "waiting for another run that holds $cache/locks/kernel-kunit" "$(cat "$out/second.err")"
status=0
wait "$pid" || status=$?
assert_eq "the first one" 0 "$status"
assert_eq "both have the same" "$(cat "$out/first")" "$(cat "$out/second")"
assert_eq "which is what the link names" "$(readlink -f "$cache/kernels/kunit")" "$(cat "$out/first")"
assert_eq "and was built once" built "$(cat "$cache/builds")"
assert_eq "whole: release, compiler, image" "$pinned-tiny CC=x86_64-linux-gnu-gcc-14 image" \
	"$(cd "$cache/kernels/kunit" && paste -d ' ' release <(sed -n 1p make-args) vmlinuz)"
assert_eq "nothing of what earlier runs have left half made" "" \
	"$(find "$cache/kernels/" "$cache/source/" "$cache/tmp" "$cache/dl" -name half -o -name "half_*")"

assert_match "modules that do not build for the lab's kernel" "^modules: modules for the kunit kernel: failed" \
	"$(last_line scripts/setup/modules kunit)"

# --- The archive drops that version, and has a newer one ---

echo 0 >"$cache/slow"
says_of_archive() { grep "the archive no longer has" "$out/stderr"; }

archive_has "$cache/archive" 99.1.1+deb13 '99.1.1-1~bpo13+1' || bail "no archive"
rm -r "$cache"/kernels/*
assert_eq "a version that was chosen stays while nothing of it need be downloaded" "$(cat "$out/first")" \
	"$(scripts/setup/kernel kunit 2>"$out/stderr")"
rm -r "$cache"/kernels/* "$cache/source"
assert_eq "else one is chosen again" 99.1.1-tiny "$(cat "$(scripts/setup/kernel kunit 2>"$out/stderr")/release")"
assert_eq "which is said once" \
	"the archive no longer has kernel $KERNEL_VERSION, taking 99.1.1-1~bpo13+1: every kernel of the lab is made of it" \
	"$(says_of_archive)"
assert_eq "and kept" "99.1.1+deb13 99.1.1-1~bpo13+1 linux-source-99.1" "$(scripts/setup/resolve 2>"$out/stderr")"

archive_has "$cache/archive" 99.1.2+deb13 '99.1.2-1~bpo13+1' || bail "no archive"
assert_eq "a stock kernel, whose source is here" 99.1.2+deb13-cloud-amd64 "$(cat "$(scripts/setup/kernel debian 2>"$out/stderr")/release")"
assert_match "chosen again" "no longer has kernel 99\.1\.1-1~bpo13\+1, taking 99\.1\.2-1~bpo13\+1" "$(says_of_archive)"
assert_match "modules that do not build for a newer kernel of the lab" "is written for Linux $pinned, this is 99\.1\.2-tiny\.$" \
	"$(last_line scripts/setup/modules kunit)"

archive_has "$cache/archive" 99.1.3+deb13 '99.1.3-1~bpo13+1' || bail "no archive"
rm -r "$cache/source"
assert_eq "the source alone" "$cache/source/99.1.3-1-bpo13-1" "$(scripts/setup/source 2>"$out/stderr")"
archive_has "$cache/archive" 7.2.9+deb13 '7.2.9-1~bpo13+1' || bail "no archive"
rm -r "$cache/source"
check_fails "no version that will do" scripts/setup/kernel debian
assert_match "and how to mend it" "^resolve: the newest kernel in $KERNEL_SUITE is 7\.2\.9\+deb13, the suite needs $KERNEL_MIN: try MIRROR=" \
	"$(last_line scripts/setup/kernel debian)"

# --- make doctor, and a machine without the tools ---

mkdir "$out/bin"
for tool in awk cat df dirname grep id mkdir readlink sed sort tr uname; do
	ln -s "$(command -v $tool)" "$out/bin/$tool" || bail "no $tool"
done
status=0
PATH=$out/bin scripts/doctor >"$out/stdout" 2>"$out/stderr" || status=$?
assert_eq "make doctor fails where tools are missing" 1 "$status"
assert_eq "and names each" "mmdebstrap apt-get make flock unshare mount" \
	"$(sed -nE 's/^  MISSING   (mmdebstrap|apt-get|make|flock|unshare|mount) \(.*\): .*install.*/\1/p' "$out/stdout" | paste -sd ' ')"
assert_eq "and counts them" "$(grep -c '^  MISSING ' "$out/stdout") missing, see above." "$(tail -n 1 "$out/stdout")"
assert_eq "all that without an error of its own" "" "$(cat "$out/stderr")"
# There is no apt-get either, so nothing can be installed.
check "the set-up names what it can't install" says 1 "missing here: .*make mmdebstrap mount procps util-linux xz-utils; run .make doctor" \
	env PATH="$out/bin" scripts/setup/host

# Somebody who is not root, or is not allowed to be: with these, on a machine that has all else.
mkdir "$out/user"
ln -s "$out/bin"/* "$out/user/"
for tool in bash cut env flock ln make mv rm seq sha256sum sleep tail true; do ln -s "$(type -P $tool)" "$out/user/$tool" || bail "no $tool"; done
for tool in mount xz ip pkill newuidmap; do ln -s "$(type -P true)" "$out/user/$tool"; done
fake() {
	rm -f "$out/user/$1"
	printf '#!/bin/bash\n%s\n' "$2" >"$out/user/$1"
	chmod +x "$out/user/$1"
}
host() { env -u MIRROR PATH="$out/user" scripts/setup/host </dev/null; }
# What mmdebstrap is: there once apt-get has installed it.
# shellcheck disable=SC2016 # the fakes' own
fake apt-get 'echo "$*" >>'"$out/asked"'; [ "$*" != "${*%mmdebstrap}" ] || exit 0; [ -e '"$out/lists"' ] || exit 0
ln -sf '"$(type -P true) $out/user/mmdebstrap"
# shellcheck disable=SC2016
fake id 'case $1 in -u) echo 1000 ;; *) echo tester ;; esac'
fake sudo 'exit 1'
fake unshare 'exit 0'
check "a user without sudo is told what to run" says 1 "run: sudo apt-get install --no-install-recommends mmdebstrap$" host
check_fails "and nothing is run" test -e "$out/asked"
# shellcheck disable=SC2016
fake sudo 'shift; exec env "$@"'
check_fails "what can't be installed" host
assert_match "is named" "still missing after that: mmdebstrap" "$(tail -n 3 "$cache/log/host-failed.log")"
assert_match "after the lists were fetched" " update$" "$(grep -m 1 update "$out/asked")"
touch "$out/lists"
check "a user with sudo has it installed" host
fake unshare 'exit 1'
fake sudo 'exit 1'
check "without user namespaces: the command that allows them" says 1 \
	"user namespaces are not allowed for tester; run: sudo usermod --add-subuids [0-9-]+ --add-subgids [0-9-]+ tester$" host
fake id 'echo 0'
check "a root that can't mount" says 1 "if this is a container, it must be a privileged one$" host
fake unshare 'exit 0'
check "and one that can" host

XDG_CACHE_HOME=$user_cache "$checkout/scripts/doctor" >"$out/stdout" 2>&1
assert_eq "make doctor on this machine, where the lab runs" "0 Nothing is missing: make demo" "$? $(tail -n 1 "$out/stdout")"

# --- make clean, make distclean ---

export XDG_CACHE_HOME=$out/small
cache=$out/small/rust-irq-suite
mkdir -p "$cache"/{kernels/some,locks} build/some
touch "$cache/kernels/some/file" build/some/file rust-project.json
make clean >"$out/stdout" 2>&1
assert_eq "make clean removes build/ and rust-project.json, and no more" "$cache/kernels/some/file" \
	"$(ls -d build rust-project.json "$cache/kernels/some/file" 2>/dev/null)"
mkdir build
lab_lock=$(with_setup versions lab_lock)
flock -s "$lab_lock" make clean >"$out/stdout" 2>&1
assert_match "make clean removes nothing below a guest" "clean: another run is at work in $cache \(it holds $lab_lock\).* build$" \
	"$(paste -sd ' ' "$out/stdout") $(ls -d build)"
flock "$cache/locks/some" make distclean >"$out/stdout" 2>&1
assert_eq "make distclean removes nothing while a run is at work in the cache" "$(printf '%s\n' "$cache/kernels/some/file" build)" \
	"$(ls -d "$cache/kernels/some/file" build)"
assert_match "and says so" "clean: another run is at work in $cache \(it holds $cache/locks/some\)" "$(cat "$out/stdout")"
check "make distclean" make distclean
assert_eq "removes build/ and the cache" "" "$(ls -d build "$cache" 2>/dev/null)"
export XDG_CACHE_HOME=$user_cache

# --- Crates of others are compiled once for all checkouts ---

check "the tools are built here" "$checkout/scripts/setup/tools"
mkdir -p build
check "another checkout takes what is not of the suite" scripts/setup/crates take release
in_buildroot env CARGO_HOME="$user_cache/rust-irq-suite/cargo" CARGO_TARGET_DIR="$tree/build/tools" CARGO_TERM_COLOR=never \
	cargo build --release --locked --offline --manifest-path tools/Cargo.toml >"$out/stdout" 2>&1 || cat "$out/stdout"
assert_eq "and compiles what is" "$(for file in tools/*/Cargo.toml; do basename "${file%/*}"; done | sort | paste -sd ' ')" \
	"$(awk '$1 == "Compiling" { print $2 }' "$out/stdout" | sort | paste -sd ' ')"

# --- make rust-analyzer: of the checkout, whose modules are built ---

cd "$checkout" || exit
project=rust-project.json
[ -e "$project" ] || on_exit rm -f "$checkout/$project"
if [ -e "$user_cache/rust-irq-suite/kernels/kunit/release" ]; then
	check "make rust-analyzer" make rust-analyzer
	check "its JSON is valid" in_buildroot python3 -m json.tool "$project" /dev/null
	in_buildroot python3 -c '
import json, sys
for crate in json.load(open(sys.argv[1]))["crates"]:
    print(crate["root_module"])
' "$project" >"$out/sources"
	assert_eq "every source file that it names exists" "" "$(while read -r file; do [ -f "$file" ] || echo "$file"; done <"$out/sources")"
	assert_eq "the suite's are among them" 4 \
		"$(grep -cxF -e "$checkout/rust/irqkit/lib.rs" -e "$checkout/rust_irq_demo/rust_irq_demo.rs" \
			-e "$checkout/rust_workqueue/rust_workqueue.rs" -e "$checkout/rust_napi_net/rust_napi_net.rs" "$out/sources")"
else
	for name in "make rust-analyzer" JSON "source files" "our source files"; do skip "$name" "there is no kunit kernel"; done
fi
