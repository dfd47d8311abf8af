#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: what is built again
# lab-timeout: 300
# lab-alone: it touches files of the checkout
#
# A file that was written has what depends on it built again, and nothing else: the content of a header of the helpers
# or of the bindings is in irqkit alone as long as what it says to Rust stays. In a copy of what is built for the lab's
# kernel, with the times of the files in the checkout changed and given back.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 12
checkout=$PWD
name=${LAB_KERNEL:-debian}
kernel=$(scripts/setup/kernel "$name") || bail "there is no kernel"
scripts/setup/modules "$name" >/dev/null || bail "the modules do not build"
work=$(mktemp -d)
on_exit rm -rf "$work"
out=$checkout/build/rebuild
rm -rf "$out"
on_exit rm -rf "$out"
cp -a "build/$name" "$out" || bail "no copy of what is built"
mapfile -t args <"$kernel/make-args"

build() {
	# shellcheck disable=SC2016 # the inner shell's own
	bash -c '. scripts/lib.sh; buildroot_run "$@"' rebuild \
		make -C "$kernel/build" M="$checkout" MO="$out" "${args[@]}" -j"$(nproc)" modules >"$work/log" 2>&1
}
# Builds as if the file had just been written.
build_after() {
	local status=0
	touch -r "$1" "$work/time"
	touch "$1"
	build || status=$?
	touch -r "$work/time" "$1"
	return "$status"
}

# built WORD...: what the last build made by those of kbuild's words; of what is linked, the modules.
built() {
	awk -v words=" $* " 'index(words, " " $1 " ") && ($1 != "LD" || /\.ko$/) { print $NF }' "$work/log" | sort | paste -sd ' '
}

# rebuilds FILE GENERATED COMPILED LINKED
rebuilds() {
	check "$1 is written, and the modules are built" build_after "$1"
	diag "$(cat "$work/log")"
	assert_eq "what is generated anew: ${2:-nothing}" "$2" "$(built BINDGEN EXPORTS)"
	assert_eq "what is compiled anew: $3, and linked: $4" "$3 $4" "$(built CC RUSTC HOSTCC) $(built LD)"
}

check "what is built is built once more" build
diag "$(cat "$work/log")"
assert_eq "and nothing is made" "" "$(built BINDGEN EXPORTS CC RUSTC HOSTCC LD)"

# The bindings' metadata says where they were made, which was another directory: once they are made in this one.
check "the bindings are made here" build_after rust/bindings/bindings_helper.h

rebuilds rust/helpers/net.h \
	"rust/bindings/bindings_generated.rs rust/bindings/bindings_helpers_generated.rs rust/exports_irqkit_generated.h" \
	"rust/bindings/lib.o rust/exports.o rust/helpers/helpers.o" irqkit.ko
rebuilds rust/bindings/bindings_helper.h rust/bindings/bindings_generated.rs rust/bindings/lib.o irqkit.ko
rebuilds rust_workqueue/rust_workqueue.rs "" rust_workqueue/rust_workqueue.o rust_workqueue.ko
