# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Kconfig drops what it can't do without a word. Source scripts/lib.sh before it.

# check_config CONFIG FRAGMENT...: fails if an option that was asked for is not what came out, naming it.
check_config() {
	local config=$1 line option failed=()
	shift
	while read -r line; do
		case $line in
		CONFIG_*=n) option=${line%=n} ;;
		"# CONFIG_"*" is not set") option=${line#\# } option=${option% is not set} ;;
		CONFIG_*)
			grep -qxF -- "$line" "$config" || failed+=("$line")
			continue
			;;
		*) continue ;;
		esac
		! grep -q "^$option=" "$config" || failed+=("$line")
	done < <(cat "$@")
	[ ${#failed[@]} -eq 0 ] ||
		die "the kernel's configuration refuses ${failed[*]} (scripts/kconfig): a dependency is missing, or this kernel has no such option"
}
