// SPDX-License-Identifier: GPL-2.0
/*
 * Runs what the lab was started for and tells the host how it ended. Kernel parameters say what:
 *
 *   lab.run=DIR         /lab/build/lab/DIR/start is the shell script to run
 *   lab.modules=PATH    what stands at /lib/modules/<release>
 *   lab.tty=ROWSxCOLS   it is interactive: it gets the terminal /dev/hvc0, of this size
 *
 * Otherwise its output goes to the virtio ports lab.out and lab.err. The last thing the host hears is
 * `exit STATUS` on lab.status.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

#define PORTS "/dev/virtio-ports/"

static const char *const environment[] = {
	"PATH=/lab/scripts/guest/bin:/lab/scripts:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root",
	"USER=root",
	"SHELL=/bin/bash",
	"LANG=C.UTF-8",
	NULL,
};

/* One stream of the command's: from the pipe it writes to, to the port that the host reads. */
struct stream {
	int pipe[2];
	int port;
};

/* The value of the kernel parameter `name` (with its `=`), or NULL. */
static const char *parameter(const char *name)
{
	static char copy[4096];
	char line[4096];
	FILE *file = fopen("/proc/cmdline", "re");
	char *rest = line, *word;

	if (!file || !fgets(line, sizeof(line), file))
		die("read /proc/cmdline");
	fclose(file);
	while ((word = strsep(&rest, "\n "))) {
		if (!strncmp(word, name, strlen(name))) {
			snprintf(copy, sizeof(copy), "%s", word + strlen(name));
			return copy;
		}
	}
	return NULL;
}

static void write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno != EINTR)
			die("write to the host");
		if (done > 0) {
			data += done;
			len -= done;
		}
	}
}

static int open_port(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		die("open %s", path);
	return fd;
}

static void link_modules(void)
{
	const char *target = parameter("lab.modules=");
	struct utsname kernel;
	char path[128];

	if (!target)
		return;
	if (uname(&kernel))
		die("uname");
	snprintf(path, sizeof(path), "/lib/modules/%s", kernel.release);
	if ((mkdir("/lib/modules", 0755) && errno != EEXIST) || symlink(target, path))
		die("link %s", path);
}

/* In the child: a session of its own, on the terminal or with the pipes, and then the script. */
static void __attribute__((noreturn)) start(const char *script, const char *size,
					    const struct stream *streams)
{
	const char *const argv[] = { "bash", script, NULL };
	sigset_t none;

	setsid();
	if (size) {
		struct winsize window = { .ws_row = 24, .ws_col = 80 };
		int fd = open("/dev/hvc0", O_RDWR);

		if (fd < 0)
			die("open /dev/hvc0");
		/* A host terminal that does not know its size says 0x0. */
		if (sscanf(size, "%hux%hu", &window.ws_row, &window.ws_col) == 2 && window.ws_row)
			ioctl(fd, TIOCSWINSZ, &window);
		ioctl(fd, TIOCSCTTY, 0);
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		close(fd);
	} else {
		int null = open("/dev/null", O_RDONLY);

		dup2(null, STDIN_FILENO);
		close(null);
		dup2(streams[0].pipe[1], STDOUT_FILENO);
		dup2(streams[1].pipe[1], STDERR_FILENO);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve("/bin/bash", (char *const *)argv, (char *const *)environment);
	die("run /bin/bash");
}

/*
 * Buries the dead. True when the command is among them; then everything that it has left running is
 * killed, so that its pipes get closed.
 */
static bool reap(pid_t command, int *status)
{
	bool ended = false;
	pid_t pid;
	int how;

	while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
		if (pid != command)
			continue;
		ended = true;
		*status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
		kill(-1, SIGKILL);
	}
	return ended;
}

/* Passes on what there is. False at the end of the stream. */
static bool pass_on(struct stream *stream)
{
	char buffer[16384];
	ssize_t len = read(stream->pipe[0], buffer, sizeof(buffer));

	if (len <= 0)
		return len < 0 && (errno == EINTR || errno == EAGAIN);
	write_all(stream->port, buffer, len);
	return true;
}

/* Until the command has ended and all that it wrote is with the host. Gives its status. */
static int supervise(pid_t command, struct stream *streams, int count, int signals)
{
	struct pollfd polled[3] = { { .fd = signals, .events = POLLIN } };
	int status = 0, open = count, i;
	bool ended = false;

	for (i = 0; i < count; i++)
		polled[i + 1] = (struct pollfd){ .fd = streams[i].pipe[0], .events = POLLIN };
	while (!ended || open) {
		struct signalfd_siginfo info;

		if (poll(polled, 1 + count, -1) < 0 && errno != EINTR)
			die("poll");
		if ((polled[0].revents & POLLIN) && read(signals, &info, sizeof(info)) > 0)
			ended |= reap(command, &status);
		for (i = 0; i < count; i++) {
			if (!polled[i + 1].revents || pass_on(&streams[i]))
				continue;
			polled[i + 1].fd = -1;
			open--;
		}
	}
	return status;
}

void run_and_power_off(void)
{
	struct stream streams[2] = { 0 };
	char script[256], message[32], size_copy[32];
	const char *value, *size = NULL;
	sigset_t children;
	int signals, status, count = 0;
	pid_t command;

	value = parameter("lab.run=");
	if (!value) {
		errno = EINVAL;
		die("there is no lab.run on the kernel's command line");
	}
	snprintf(script, sizeof(script), "/lab/build/lab/%s/start", value);
	value = parameter("lab.tty=");
	if (value) {
		snprintf(size_copy, sizeof(size_copy), "%s", value);
		size = size_copy;
	}
	link_modules();
	if (chdir("/lab"))
		die("chdir /lab");

	/* A port can be open only once, and `>/dev/stderr` opens again what is there: hence pipes. */
	if (!size) {
		count = 2;
		streams[0].port = open_port(PORTS "lab.out");
		streams[1].port = open_port(PORTS "lab.err");
		if (pipe2(streams[0].pipe, O_CLOEXEC) || pipe2(streams[1].pipe, O_CLOEXEC))
			die("pipe");
	}

	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	signals = signalfd(-1, &children, SFD_CLOEXEC);
	if (signals < 0)
		die("signalfd");

	command = fork();
	if (command < 0)
		die("fork");
	if (!command)
		start(script, size, streams);
	if (count) {
		close(streams[0].pipe[1]);
		close(streams[1].pipe[1]);
	}
	status = supervise(command, streams, count, signals);

	sync();
	snprintf(message, sizeof(message), "exit %d\n", status);
	write_all(open_port(PORTS "lab.status"), message, strlen(message));
	reboot(RB_POWER_OFF);
	die("power off");
}
