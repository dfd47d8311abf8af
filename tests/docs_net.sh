#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the words of the documents
# lab-kernels: debian rt
# lab-devices: net-tap
# lab-timeout: 300
#
# As docs.sh, for the pages that want network cards. On the debug kernel their curve did not show in one run of two,
# beside other guests.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
# shellcheck source=tests/lib/docs.sh
. "$(dirname "$0")/lib/docs.sh"

# It was not modprobe that loaded the sample, so it does not know what goes with it.
no_sample() { [ ! -e /sys/module/rust_net_minimal ] || { rmmod rust_net_minimal && modprobe -r irqkit; }; }

new_page() {
	unload
	no_sample
}

on_exit no_sample
on_exit give "$net0"
on_exit no_peer
pages=()
for page in /lab/docs/*.md; do
	! grep -q net-tap "$page" || pages+=("${page#/lab/}")
done
run_pages "${pages[@]}"
