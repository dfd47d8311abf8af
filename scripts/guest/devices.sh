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
#
# An edu can always do both INTx and MSI; the names say what the place is for. On this machine
# type the line is (slot + pin - 1) mod 4, so slots 4 and 8 share theirs. Everything on pci.0 can be
# unplugged. Slots 2 to 0x18 are free for LAB_QEMU_ARGS, the lab's own devices are above.

device_args() {
	local name names
	IFS=+ read -ra names <<<"$1"
	for name in "${names[@]}"; do
		case $name in
		edu-intx) echo "-device edu,id=edu0,addr=4" ;;
		edu2-intx) echo "-device edu,id=edu0,addr=4 -device edu,id=edu1,addr=8" ;;
		edu-msi) echo "-device edu,id=edu2,addr=5" ;;
		rng) echo "-device virtio-rng-pci,id=rng0,addr=6" ;;
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
		none) ;;
		*)
			echo "no such set of devices: $name (scripts/guest/devices.sh has the list)" >&2
			return 1
			;;
		esac
	done
}
