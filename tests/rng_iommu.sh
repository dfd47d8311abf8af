#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: a machine with an IOMMU
# lab-devices: rng-iommu
# lab-append: intel_iommu=on iommu.passthrough=0
# lab-kernels: debian debug
# lab-timeout: 120
#
# virtio-rng behind an IOMMU, with iommu_platform=on: what the device is given are addresses of the
# IOMMU's, and nothing else can be reached.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 9

on_exit give "$rng0"
check "there is an IOMMU" test -e /sys/class/iommu/dmar0
check "the device is behind it" test -e $pci/$rng0/iommu_group
assert_match "and its DMA is translated" 'DMA' "$(cat $pci/$rng0/iommu_group/type)"
load
check "the device is taken" take $rng0
assert_eq "iommu_platform is negotiated" 1 $((($(field $rng0 rng features) >> 33) & 1))
choose "$(generator_of $rng0)"
check "it gives 1 MiB" read_hwrng 1024
assert_eq "the IOMMU has nothing to complain of" "" "$(dmesg | grep -iE 'DMAR.*fault|DMA (Read|Write)')"
sound $rng0
