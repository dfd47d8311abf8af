# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Debian's kernel headers lack what a Rust module is compiled against: the crates' metadata. It is
# made again here from the same source, by the same compiler, with the same configuration, and
# accepted only if the crates export exactly the symbols that the kernel's own export.

# metadata HEADERS SOURCE WORK: completes the unpacked headers of a stock kernel.
metadata() {
	local headers=$1 source=$2 work=$3 line
	rm -rf "$work"
	mkdir -p "$work"
	cp "$headers/.config" "$work/.config"
	buildroot_run make -C "$source" O="$work" "${GCC_ARGS[@]}" olddefconfig
	# The time of configuration apart, the result must be what the kernel was built with.
	if ! line=$(diff <(grep -v '^#.*Configuration' "$headers/.config") <(grep -v '^#.*Configuration' "$work/.config")); then
		die "the toolchain differs from the one this kernel was built with: $(sed -n '2p' <<<"$line")"
	fi
	buildroot_run make -C "$source" O="$work" "${GCC_ARGS[@]}" -j"$(nproc)" prepare
	compare_symbols "$work/rust" "$headers/Module.symvers"
	mkdir -p "$headers/rust/kernel"
	cp "$work"/rust/*.rmeta "$work"/rust/*.so "$headers/rust/"
	# Static branches, warnings and unreachable code in Rust include these.
	cp "$work"/rust/kernel/generated_*.rs "$headers/rust/kernel/"
	if [ -e "$work/scripts/target.json" ]; then
		cp "$work/scripts/target.json" "$headers/scripts/"
	fi
	rm -rf "$work"
}

# compare_symbols RUST-DIR MODULE.SYMVERS: every symbol that the crates made here export must be
# exported by the kernel. The generated headers list just what rust/Makefile exports of each crate
# and of the C helpers. Rust names carry a hash of the compiler and of the crate: equal names mean
# equal crates.
compare_symbols() {
	local ours missing
	ours=$(sed -nE 's/^EXPORT_SYMBOL_RUST_GPL\((.*)\);$/\1/p' "$1"/exports_*_generated.h | sort -u)
	[ -n "$ours" ] || die "the crates made from the kernel's source export nothing"
	missing=$(comm -23 <(echo "$ours") <(awk -F'\t' '$3 == "vmlinux" { print $2 }' "$2" | sort -u))
	[ -z "$missing" ] ||
		die "the kernel was built from other source or by another compiler: it lacks $(wc -l <<<"$missing") of $(wc -l <<<"$ours") symbols, the first is $(sed -n 1p <<<"$missing")"
	echo "all $(wc -l <<<"$ours") symbols of the Rust crates are the kernel's"
}

# headers_in_place TREE RELEASE: the headers find each other by their place below /usr; makes them
# find each other wherever TREE is. Prints nothing; the headers are TREE/usr/src/linux-headers-RELEASE.
headers_in_place() {
	local common makefile=$1/usr/src/linux-headers-$2/Makefile
	common=$(sed -nE 's,^include /usr/src/([^/]*)/Makefile$,\1,p' "$makefile")
	if [ -z "$common" ] || [ ! -d "$1/usr/src/$common" ]; then
		die "these are not Debian's kernel headers: $makefile"
	fi
	cat >"$makefile" <<-EOF
		here := \$(patsubst %/,%,\$(dir \$(abspath \$(lastword \$(MAKEFILE_LIST)))))
		KBUILD_OUTPUT := \$(here)
		include \$(here)/../$common/Makefile
	EOF
}
