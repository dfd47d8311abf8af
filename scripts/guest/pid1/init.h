/* SPDX-License-Identifier: GPL-2.0 */
/* The rooms of the lab's process 1: root.c makes the guest's root, run.c runs what it is for. */
#ifndef LAB_INIT_H
#define LAB_INIT_H

/* Says on the console what failed and with which errno, and ends the guest. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Makes the root and enters it. */
void enter_root(void);

/* Runs the command or the shell that the lab was started for, tells the host how it ended, and
 * powers off.
 */
_Noreturn void run_and_power_off(void);

#endif
