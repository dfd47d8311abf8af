#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the modules for Debian's own headers
# lab-timeout: 900
#
# `make modules` on a machine that runs Debian's stock kernel: its headers as packaged, which lack the Rust metadata,
# are completed in the cache, and what is built against them loads into that kernel.
#
# The packages are those that the lab has downloaded, unpacked here; the cache is the test's own.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 8
unset KDIR BUILD_NAME RUSTC LLVM CC MAKEFLAGS INSTALL_MOD_PATH
checkout=$PWD
work=$checkout/build/headers-test
rm -rf "$work"
on_exit rm -rf "$work" "$checkout/build/headers-test-modules"
mkdir -p "$work/bin" "$work/cache/rust-irq-suite"

kernel=$(scripts/setup/kernel debian) || bail "there is no kernel"
release=$(cat "$kernel/release")
read -r abi version package < <(scripts/setup/resolve) || bail "no version of it"
real=${XDG_CACHE_HOME:-$HOME/.cache}/rust-irq-suite
buildroot=$(readlink -f "$(scripts/setup/buildroot)") || bail "there is no build root"
scripts/setup/source "$version" "$package" >/dev/null || bail "there is no source"

for package in "linux-headers-$release" "linux-headers-$abi-common" "linux-kbuild-$abi"; do
	bash -c '. scripts/lib.sh; buildroot_run dpkg-deb -x "$@"' unpack "$real/dl/${package}_${version}"_*.deb "$work" ||
		bail "$package is not there"
done
headers=$work/usr/src/linux-headers-$release
check_fails "headers as they are packaged have no Rust metadata" test -e "$headers/rust/libkernel.rmeta"
state() { find "$work/usr" -printf '%P %s %T@\n' | sort | sha256sum; }
before=$(state)

# A cache with the build root and the source, and nothing else; and a machine on which the package is installed.
ln -s "$buildroot" "$work/cache/rust-irq-suite/${buildroot##*/}"
ln -s "$real/source" "$work/cache/rust-irq-suite/source"
printf '#!/bin/sh\necho %s\n' "$version" >"$work/bin/dpkg-query"
chmod +x "$work/bin/dpkg-query"
modules() {
	env PATH="$work/bin:$PATH" XDG_CACHE_HOME="$work/cache" BUILDROOT_BIND="$real/source" KDIR="$headers" \
		BUILD_NAME=headers-test-modules scripts/modules
}
assert_eq "make modules builds against them" "$checkout/build/headers-test-modules" "$(modules 2>"$work/said" || tail -n 20 "$work/said" >&2)"
assert_match "it says what it makes" "headers of ${release//+/.}: making their Rust metadata from source" "$(cat "$work/said")"
assert_eq "all modules are there" "irqkit rust_irq_demo rust_napi_net rust_workqueue" \
	"$(find build/headers-test-modules -maxdepth 1 -name '*.ko' -printf '%f\n' | sed 's/\.ko$//' | sort | paste -sd ' ')"
assert_eq "the headers are as they were" "$before" "$(state)"
modules >/dev/null 2>"$work/again"
check_fails "the metadata is made once" grep -q "making their Rust metadata" "$work/again"
# shellcheck disable=SC2016 # for the guest's shell
assert_eq "the modules load into that kernel, and interrupts come" "3 20" "$(
	LAB_KERNEL=debian LAB_NO_BUILD=1 LAB_CONSOLE="$work/console" LAB_DEVICES=edu2-intx+edu-msi scripts/lab '
		cd /lab/build/headers-test-modules && insmod irqkit.ko && insmod rust_irq_demo.ko || exit
		cd /sys/kernel/debug/rust_irq_demo && echo "20 paced" >0000:00:05.0/trigger &&
		echo $(ls | wc -l) $(awk "\$1 == \"hardirq.runs\" { print \$2 }" 0000:00:05.0/stats)'
)"
# Another package than the source is of is refused.
printf '#!/bin/sh\nexit 1\n' >"$work/bin/dpkg-query"
rm -r "$work/cache/rust-irq-suite/headers"
modules >/dev/null 2>"$work/again"
assert_match "headers that are not installed are refused" "no package linux-headers-${release//+/.} here: install it" "$(tail -n 1 "$work/again")"
