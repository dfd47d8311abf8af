#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the lab itself
# lab-timeout: 300
#
# The lab as a shell on a terminal: its size, ctrl-c, the status of the shell.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 5
out=$(mktemp -d)
on_exit rm -rf "$out"
mkfifo "$out/keys"
export LAB_NO_BUILD=1 LAB_CONSOLE=$out/console LAB_TIMEOUT=240

# script(1) gives it a terminal, and here is who types.
script -qec 'stty rows 40 cols 123; scripts/lab' /dev/null <"$out/keys" >"$out/screen" 2>&1 &
pid=$!
exec 3>"$out/keys"
screen() { sed 's,\x1b\[[?0-9;]*[a-z],,g; s,\r,,g' "$out/screen" | grep -qE -- "$1"; }

check "a prompt" wait_for 120 screen 'root@lab:/lab#'
# shellcheck disable=SC2016 # for the guest's shell
printf 'echo "size: $(stty size)"; tty\r' >&3
check "the terminal has its size" wait_for 30 screen '^size: 40 123$'
printf 'sleep 1000; echo "status: $?"\r' >&3
sleep 3
printf '\003' >&3
printf 'echo "inter""rupted"\r' >&3
check "ctrl-c is the guest's" wait_for 30 screen '^interrupted$'
printf 'exit 5\r' >&3
status=0
wait "$pid" || status=$?
exec 3>&-
assert_eq "status of the shell" 5 "$status"
check_fails "the kernel's console is elsewhere" screen 'reboot: Power down'
diag "$(tr -d '\r' <"$out/screen" | tail -n 20)"
