# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the guest tests of rust_napi_net share. Source it from a test in tests/; it sources driver.sh and
# scripts/guest/net.sh.
#
#   load [PARAM...]      loads the driver (afresh if it is loaded)
#   unload               removes it
#   take DEVICE...       has the driver take cards from the kernel's own; fails if it can't
#   give DEVICE...       gives them back
#   set_up [PARAM...]    loads the driver, takes net0, makes its peer and takes the link up
#   unplug               takes net0 out, and waits until it is gone
#   plug [OPTION]...     plugs net0 in, with these options or as it was at first, and waits until it is there
#   replug               takes net0 out, whatever it is, and plugs it in as it was at first
#   packets WHICH        a statistic of net0, such as rx_packets
#   traffic NAME ARG...  checks that an iperf3 with these arguments gets through, and says at what rate
#   quiet                whether the driver and the transport had nothing to say since mark_log

driver=rust_napi_net

unload() {
	[ ! -e "/sys/module/$driver" ] || modprobe -r "$driver"
}

# shellcheck source=tests/lib/driver.sh
. "$(dirname "${BASH_SOURCE[0]}")/driver.sh"
# shellcheck source=scripts/guest/net.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/guest/net.sh"

keep_timestamps || bail "there is nobody to keep the time of packets"

# scripts/guest/devices.sh places the devices.
# shellcheck disable=SC2034 # for the tests
net0=0000:00:07.0 net1=0000:00:0f.0

load() {
	unload
	modprobe "$driver" "$@" || bail "the driver does not load"
}

take() {
	local device
	for device in "$@"; do /lab/scripts/bind "$device" $driver || return; done
}

give() {
	local device
	for device in "$@"; do /lab/scripts/bind "$device" virtio-pci || return; done
}

# shellcheck disable=SC2120 # parameters are optional
set_up() {
	load "$@"
	take "$net0" || bail "$net0 is not taken"
	# shellcheck disable=SC2119 # the usual one
	make_peer || bail "there is no peer"
	on_exit no_peer
	link "$net0" || bail "the link does not come up"
}

packets() { cat "/sys/class/net/$nic/statistics/$1"; }

quiet() { [ -z "$(driver_log)" ]; }

traffic() {
	local name=$1 rate
	shift
	# shellcheck disable=SC2086,SC2154 # words, and net.sh's
	[[ " $* " = *" -u "* ]] || set -- $small_blocks "$@"
	if rate=$(stream "$@" 2>&1); then
		ok "$name"
		diag "$name: $rate Mbit/s"
	else
		not_ok "$name" "$rate"
	fi
}

unplug() {
	gone() { [ ! -e "/sys/bus/pci/devices/$net0" ]; }
	qmp device_del id=net0 >/dev/null 2>&1
	wait_for 30 gone
}

plug() {
	there() { [ -e "/sys/bus/pci/devices/$net0/driver" ]; }
	[ $# -ne 0 ] || set -- mq=true vectors=10
	qmp device_add driver=virtio-net-pci id=net0 netdev=n0 bus=pci.0 addr=7 mac=52:54:00:12:34:07 romfile= "$@" >/dev/null &&
		wait_for 30 there
}

replug() { unplug && plug; }
