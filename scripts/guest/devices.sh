# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sets of devices a guest can be booted with, by name; names are joined by `+`. Used by LAB_DEVICES
# of scripts/lab and by the line `# lab-devices:` of a test.
#
#   edu-intx     one edu at 0000:00:04.0                                  id edu0
#   edu2-intx    two edu on one INTx line, 0000:00:04.0 and 0000:00:08.0  id edu0, edu1
#   edu-msi      one edu on a line of its own, 0000:00:05.0               id edu2
#   rng          a virtio-rng at 0000:00:06.0                             id rng0
#   rng-modern   one that offers packed rings and keeps to the order         id rng0
#   rng2         two, 0000:00:06.0 and 0000:00:09.0                       id rng0, rng1
#   rngs         one of each sort, ids rng0 to rng6, in slots 6 and 9 to 0xe:
#                  6, 9   as QEMU makes them
#                  0xa    without event_idx, indirect_desc and packed
#                  0xb    without MSI-X (vectors=0)
#                  0xc    before version 1 (disable-modern=on)
#                  0xd    with iommu_platform=on
#                  0xe    64 bytes in 10 minutes
#   rng-iommu    a virtio-rng at 0000:00:06.0 behind an IOMMU, on the machine q35, where nothing can be
#                unplugged; wants intel_iommu=on for the kernel           id rng0
#   net          two virtio-net on one hub, 0000:00:07.0 and 0000:00:0f.0, without offloads:
#                the netdevs are n0 and n1                                id net0, net1
#   net-tap      the same on two taps of four queues, bridged in a network namespace of the lab's own:
#                with offloads; net0 has four pairs of queues             id net0, net1
#   net-iommu    as net-tap, and net0 behind an IOMMU, on the machine q35; wants intel_iommu=on
#   net-iommu2   as net-iommu, and net1 behind it as well, with packed rings
#
# An edu can always do both INTx and MSI; the names say what the place is for. On this machine
# type the line is (slot + pin - 1) mod 4, so slots 4 and 8 share theirs. Everything on pci.0 can be
# unplugged. Slots 2 to 0x18 are free for LAB_QEMU_ARGS, the lab's own devices are above.

# net0 with the options that LAB_NET adds, and its peer. Without a ROM, or the firmware drives them first.
net_args() {
	echo "-device virtio-net-pci,id=net0,netdev=n0,addr=7,mac=52:54:00:12:34:07,romfile=$1${LAB_NET:+,$LAB_NET}"
	echo "-device virtio-net-pci,id=net1,netdev=n1,addr=0xf,mac=52:54:00:12:34:08,romfile=$2"
}

# scripts/guest/taps makes them.
tap_args() {
	echo "-netdev tap,id=n0,ifname=lab0,queues=4,script=no,downscript=no,vhost=off"
	echo "-netdev tap,id=n1,ifname=lab1,queues=4,script=no,downscript=no,vhost=off"
}

device_args() {
	local name names
	IFS=+ read -ra names <<<"$1"
	for name in "${names[@]}"; do
		case $name in
		edu-intx) echo "-device edu,id=edu0,addr=4" ;;
		edu2-intx) echo "-device edu,id=edu0,addr=4 -device edu,id=edu1,addr=8" ;;
		edu-msi) echo "-device edu,id=edu2,addr=5" ;;
		rng) echo "-device virtio-rng-pci,id=rng0,addr=6" ;;
		rng-modern) echo "-device virtio-rng-pci,id=rng0,addr=6,packed=on,in_order=on" ;;
		rng2) echo "-device virtio-rng-pci,id=rng0,addr=6 -device virtio-rng-pci,id=rng1,addr=9" ;;
		rngs)
			echo "-device virtio-rng-pci,id=rng0,addr=6 -device virtio-rng-pci,id=rng1,addr=9"
			echo "-device virtio-rng-pci,id=rng2,addr=0xa,event_idx=off,indirect_desc=off,packed=off"
			echo "-device virtio-rng-pci,id=rng3,addr=0xb,vectors=0"
			echo "-device virtio-rng-pci,id=rng4,addr=0xc,disable-modern=on,disable-legacy=off"
			echo "-device virtio-rng-pci,id=rng5,addr=0xd,disable-legacy=on,iommu_platform=on"
			echo "-device virtio-rng-pci,id=rng6,addr=0xe,max-bytes=64,period=600000"
			;;
		rng-iommu)
			echo "-machine q35 -device intel-iommu"
			echo "-device virtio-rng-pci,id=rng0,addr=6,disable-legacy=on,iommu_platform=on"
			;;
		net)
			echo "-netdev hubport,id=n0,hubid=0 -netdev hubport,id=n1,hubid=0"
			net_args "" ""
			;;
		net-tap)
			tap_args
			net_args ,mq=on,vectors=10 ""
			;;
		net-iommu)
			echo "-machine q35 -device intel-iommu"
			tap_args
			net_args ,mq=on,vectors=10,disable-legacy=on,iommu_platform=on ""
			;;
		net-iommu2)
			echo "-machine q35 -device intel-iommu"
			tap_args
			net_args ,mq=on,vectors=10,disable-legacy=on,iommu_platform=on \
				,mq=on,vectors=10,disable-legacy=on,iommu_platform=on,packed=on
			;;
		none) ;;
		*)
			echo "no such set of devices: $name (scripts/guest/devices.sh has the list)" >&2
			return 1
			;;
		esac
	done
}
