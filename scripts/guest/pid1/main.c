// SPDX-License-Identifier: GPL-2.0
/*
 * The lab's process 1, in the initramfs and after it. One static binary rather than shell scripts,
 * because every program started costs some 50 ms under TCG and the whole boot has a budget.
 *
 * Any failure says so on the console and ends this process, which is a kernel panic, which ends the
 * lab with that message in front of the user.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "init.h"

void die(const char *fmt, ...)
{
	int err = errno;
	va_list args;

	fputs("lab: guest set-up failed: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(err));
	/* The console must have it before the panic. */
	tcdrain(STDERR_FILENO);
	_exit(1);
}

int main(void)
{
	enter_root();
	run_and_power_off();
}
