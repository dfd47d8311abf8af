#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the words of the documents
# lab-kernels: debian rt
# lab-devices: edu2-intx+edu-msi+rng
# lab-timeout: 300
#
# Runs every command that the documents mark as one for the lab, as written: each block in a shell of its own,
# page by page, with the driver loaded as the pages say. Pages about network cards are docs_net.sh's. Kernels that are
# built here have neither the BTF nor the headers that bpftrace needs.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
# shellcheck source=tests/lib/docs.sh
. "$(dirname "$0")/lib/docs.sh"

new_page() { load irq_mode=auto; }

pages=()
for page in /lab/README.md /lab/docs/*.md; do
	grep -q net-tap "$page" || pages+=("${page#/lab/}")
done
run_pages "${pages[@]}"
