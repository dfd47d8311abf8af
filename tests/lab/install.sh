#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: builds the modules again
# lab-timeout: 900
#
# The modules on a kernel of one's own: dkms builds and installs them as it does when a kernel is updated, and they
# load there; make install puts what make modules has built where modprobe finds it.
#
# The kernel is the lab's kunit, which is built from source as one's own is. dkms runs in the build root, with
# directories of its own.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 14
unset KDIR BUILD_NAME RUSTC LLVM CC MAKEFLAGS INSTALL_MOD_PATH
checkout=$PWD
kernel=$(scripts/setup/kernel kunit) || bail "there is no kernel"
kernel=$(readlink -f "$kernel")
release=$(cat "$kernel/release")
modules="irqkit rust_irq_demo rust_napi_net rust_workqueue"
work=$checkout/build/install-test
rm -rf "$work"
on_exit rm -rf "$work"

# A system's /lib/modules with that kernel in it, below DIR.
make_system() {
	mkdir -p "$1/lib/modules/$release"
	ln -s "$kernel/build" "$1/lib/modules/$release/build"
	cp "$kernel/build"/modules.{builtin,builtin.modinfo,order} "$1/lib/modules/$release/"
}
# modules_in DIR
modules_in() { find "$1" -maxdepth "${2:-9}" -name '*.ko' -printf '%f\n' 2>/dev/null | sed 's/\.ko$//' | sort | paste -sd ' '; }
# installed DIR: the suite's modules that are there.
installed() { modules_in "$1/lib/modules/$release/updates"; }
# depends DIR MODULE: on what, says what depmod has written.
depends() { sed -nE "s,^updates/(dkms/)?$2\.ko: ?(updates/(dkms/)?)?,,p" "$1/lib/modules/$release/modules.dep"; }

# --- dkms ---

in_buildroot() {
	# shellcheck disable=SC2016 # the inner shell's own
	bash -c '. scripts/lib.sh; buildroot_run "$@"' install "$@"
}
make_system "$work/dkms"
mkdir "$work/tree"
# What a user has: a clone.
git ls-files -z | tar -c --null -T - | tar -x -C "$work/tree" || bail "no copy of the checkout"
# shellcheck disable=SC2016 # the inner shell's own
check "dkms takes the suite, and installs it for a kernel that has come" in_buildroot bash -euxc '
	for dir in /var/cache /var/lib/dkms /usr/src; do mount -t tmpfs none $dir; done
	mkdir -p /lib/modules
	mount --bind "$1/dkms/lib/modules" /lib/modules
	# As the installation of a kernel does.
	depmod "$2"
	dkms add "$1/tree"
	dkms autoinstall -k "$2" || { cat /var/lib/dkms/rust-irq-suite/*/build/make.log; exit 1; }
	dkms status -k "$2" >"$1/status"
' dkms "$work" "$release"
assert_match "it says so" "^rust-irq-suite/0\.1, $release, x86_64: installed" "$(cat "$work/status" 2>/dev/null)"
assert_eq "all of them" "$modules" "$(installed "$work/dkms")"
assert_eq "a driver brings the library" irqkit.ko "$(depends "$work/dkms" rust_irq_demo)"
# shellcheck disable=SC2016 # for the guest's shell
check "they load into that kernel" env LAB_KERNEL=kunit LAB_NO_BUILD=1 LAB_CONSOLE="$work/console" scripts/lab "
	cd /lab/build/install-test/dkms/lib/modules/\$(uname -r)/updates && [ ! -d dkms ] || cd dkms
	insmod irqkit.ko && insmod rust_irq_demo.ko && insmod rust_workqueue.ko && insmod rust_napi_net.ko &&
	[ \$(lsmod | grep -c -e ^irqkit -e ^rust_) = 4 ]"

# --- make install ---

name=${LAB_KERNEL:-debian}
built=$checkout/build/$name
scripts/setup/modules "$name" >/dev/null || bail "the modules do not build"
release=$(cat "$(scripts/setup/kernel "$name")/release")
says() {
	local want=$1 regex=$2 status=0
	shift 2
	"$@" >"$work/said" 2>&1 || status=$?
	cat "$work/said"
	[ "$status" -eq "$want" ] && [[ $(cat "$work/said") =~ $regex ]]
}
check "make install: not for a kernel that is not there" says 1 "kernel ${release//+/.} is not installed here \($work/none/lib/modules/${release//+/.}\): boot it" \
	env INSTALL_MOD_PATH="$work/none" scripts/install built "$built"
mkdir -p "$work/system/lib/modules/$release"
check "make install" env INSTALL_MOD_PATH="$work/system" scripts/install built "$built"
assert_eq "all modules are there" "$(modules_in "$built" 1)" "$(installed "$work/system")"
assert_eq "a driver brings the library" irqkit.ko "$(depends "$work/system" rust_napi_net)"
assert_eq "which needs nothing of the suite" "" "$(depends "$work/system" irqkit | grep -e irqkit -e rust_)"
assert_eq "they are those that were built" "" "$(for file in "$built"/*.ko; do cmp "$file" "$work/system/lib/modules/$release/updates/${file##*/}" 2>&1; done)"
assert_eq "for all to read, for one to write" "644 $(id -u)" "$(stat -c '%a %u' "$work/system/lib/modules/$release/updates/"*.ko | sort -u)"
touch -d '2001-01-01' "$work/system/lib/modules/$release/updates/irqkit.ko"
check "make install once more" env INSTALL_MOD_PATH="$work/system" scripts/install built "$built"
assert_ge "replaces them" 1100000000 "$(stat -c %Y "$work/system/lib/modules/$release/updates/irqkit.ko")"
