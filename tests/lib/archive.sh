# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A Debian archive with a kernel in it, both as small as can be, for tests of the set-up: apt takes the one for a
# mirror, and the source of the other is "built" in a second. Source scripts/setup/versions before it is used.
#
#   archive_has DIR ABI VERSION   makes the archive DIR, or makes it anew, with nothing but that kernel: its source and
#                                 what Debian builds of it for clouds, which exports two symbols
#   mirror_of DIR                 what to say in MIRROR for it to be used
#
# No module builds for the kernel. Its own "build" writes a line to CACHE/builds, takes as long as CACHE/slow says, and its configuration
# drops the options that are in CACHE/refused.

mirror_of() { echo "[trusted=yes] file:$1"; }

# add_package DIR NAME VERSION TREE
add_package() {
	local file=pool/$2_$3_amd64.deb
	mkdir -p "$4/DEBIAN" "$1/pool"
	printf '%s\n' "Package: $2" "Version: $3" "Architecture: amd64" "Maintainer: nobody <nobody@localhost>" \
		"Description: a test's" >"$4/DEBIAN/control"
	dpkg-deb --root-owner-group -Znone -b "$4" "$1/$file" >/dev/null || return
	cat "$4/DEBIAN/control" - >>"$1/Packages" <<-EOF
		Filename: $file
		Size: $(stat -c %s "$1/$file")
		SHA256: $(sha256sum <"$1/$file" | cut -d ' ' -f 1)

	EOF
}

# write_source DIR VERSION: what the set-up asks of a kernel's source.
write_source() {
	mkdir -p "$1"
	touch "$1/Kbuild"
	echo "release := $2-tiny" >"$1/Makefile"
	cat >>"$1/Makefile" <<-'EOF'
		.RECIPEPREFIX := >
		cache := $(O)/../..
		allnoconfig:
		> grep -E '^CONFIG_.*=' $(KCONFIG_ALLCONFIG) | grep -v '=n$$' | grep -vxF -f $(cache)/refused >$(O)/.config
		bzImage:
		> echo built >>$(cache)/builds
		> sleep $$(cat $(cache)/slow)
		> mkdir -p $(O)/arch/x86/boot/compressed $(O)/include/config $(O)/scripts $(O)/tools
		> echo $(release) >$(O)/include/config/kernel.release
		> echo image >$(O)/arch/x86/boot/bzImage
		> echo 'export KBUILD_OUTPUT = $(O)' >$(O)/Makefile
		> echo 'modules: ; @echo "error[E0061]: one of a test"; false' >>$(O)/Makefile
		modules olddefconfig: ;
		prepare:
		> mkdir -p $(O)/rust/kernel
		> printf 'EXPORT_SYMBOL_RUST_GPL(%s);\n' one two >$(O)/rust/exports_core_generated.h
		> touch $(O)/rust/libkernel.rmeta $(O)/rust/libmacros.so $(O)/rust/kernel/generated_one.rs
		modules_install:
		> mkdir -p $(INSTALL_MOD_PATH)/lib/modules/$(release)
		> cd $(INSTALL_MOD_PATH)/lib/modules/$(release) && touch modules.order modules.builtin modules.builtin.modinfo
	EOF
}

# write_stock DIR ABI RELEASE: the content of a stock kernel's packages, in directories of DIR by their names.
write_stock() {
	local headers=$1/linux-headers-$3/usr/src/linux-headers-$3 modules=$1/linux-binary-$3/usr/lib/modules/$3
	mkdir -p "$headers/scripts" "$1/linux-headers-$2-common/usr/src/linux-headers-$2-common" "$modules" \
		"$1"/linux-{base-"$3",modules-"$3",kbuild-"$2"}
	echo "include /usr/src/linux-headers-$2-common/Makefile" >"$headers/Makefile"
	echo CONFIG_RUST=y | tee "$headers/.config" >"$modules/config"
	printf '0x12345678\t%s\tvmlinux\tEXPORT_SYMBOL_GPL\t\n' one two >"$headers/Module.symvers"
	echo image >"$modules/vmlinuz"
}

archive_has() {
	local dir=$1 abi=$2 version=$3 source codename lists package
	source=linux-source-$(sed -E 's/^([0-9]+\.[0-9]+).*/\1/' <<<"$abi")
	rm -rf "$dir"
	mkdir -p "$dir/packages/$source/usr/src"
	write_source "$dir/$source" "${abi%%+*}"
	tar -C "$dir" -cJf "$dir/packages/$source/usr/src/$source.tar.xz" "$source" || return
	write_stock "$dir/packages" "$abi" "$abi-cloud-amd64"
	for package in "$dir"/packages/*; do
		add_package "$dir" "${package##*/}" "$version" "$package" || return
	done
	for codename in "$SUITE" "$KERNEL_SUITE"; do
		lists=$dir/dists/$codename
		mkdir -p "$lists/main/binary-amd64"
		cp "$dir/Packages" "$lists/main/binary-amd64/"
		cat >"$lists/Release" <<-EOF
			Suite: $codename
			Codename: $codename
			Date: $(LC_ALL=C date -uR)
			Components: main
			Architectures: amd64
			SHA256:
			 $(sha256sum <"$dir/Packages" | cut -d ' ' -f 1) $(stat -c %s "$dir/Packages") main/binary-amd64/Packages
		EOF
	done
}
