// SPDX-License-Identifier: GPL-2.0
/*
 * The lab's first process: from the initramfs to the guest's root.
 *
 * It loads the modules that this kernel needs to reach its root (listed in /modules/list, in order),
 * lays a tmpfs over the read-only root image, mounts the checkout at /lab and the kernel's modules
 * at /run/lab/modules, and hands over to /lab/scripts/guest/init. One static binary rather than a shell
 * script, because every fork costs milliseconds under TCG and the whole boot has a budget.
 *
 * Any failure says so on the console and ends this process, which is a kernel panic, which ends the
 * lab with that message in front of the user.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

#define NEWROOT "/new"
#define HANDOVER "/lab/scripts/guest/init"

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
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

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		die("mkdir %s", path);
}

static void mount_at(const char *source, const char *target, const char *type,
		     unsigned long flags, const char *options)
{
	make_dir(target);
	if (mount(source, target, type, flags, options))
		die("mount %s at %s (%s)", source, target, type);
}

/* What a kernel may lack (tracefs, bpf): mount it if it is there. */
static void mount_if_known(const char *type, const char *target)
{
	if (mount(type, target, type, 0, NULL) && errno != ENODEV && errno != ENOENT &&
	    errno != EBUSY)
		die("mount %s", target);
}

static void load_modules(void)
{
	FILE *list = fopen("/modules/list", "re");
	char line[256];

	if (!list)
		return;
	while (fgets(line, sizeof(line), list)) {
		char path[sizeof(line) + sizeof("/modules/")];
		int fd;

		line[strcspn(line, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", line);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
			die("load module %s", line);
		close(fd);
	}
	fclose(list);
}

/* Finds the virtio disk with the serial number `serial`; an empty `dev` when there is none. */
static void find_disk(const char *serial, char *dev, size_t size)
{
	DIR *dir = opendir("/sys/class/block");
	struct dirent *entry;

	*dev = '\0';
	if (!dir)
		die("open /sys/class/block");
	while (!*dev && (entry = readdir(dir))) {
		char path[300], found[64];
		ssize_t len;
		int fd;

		snprintf(path, sizeof(path), "/sys/class/block/%s/serial", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = read(fd, found, sizeof(found) - 1);
		close(fd);
		if (len < 0)
			continue;
		found[len] = '\0';
		found[strcspn(found, "\n")] = '\0';
		if (!strcmp(found, serial))
			snprintf(dev, size, "/dev/%s", entry->d_name);
	}
	closedir(dir);
}

/* The image stays read-only; what the guest changes lives in memory and dies with it. */
static void mount_root(void)
{
	char dev[300];

	find_disk("lab-root", dev, sizeof(dev));
	if (!*dev) {
		errno = ENODEV;
		die("the root disk");
	}
	mount_at(dev, "/image", "squashfs", MS_RDONLY, NULL);
	mount_at("tmpfs", "/changes", "tmpfs", 0, "mode=0755");
	make_dir("/changes/upper");
	make_dir("/changes/work");
	mount_at("overlay", NEWROOT, "overlay", 0,
		 "lowerdir=/image,upperdir=/changes/upper,workdir=/changes/work");
}

static void move_mount_to(const char *from, const char *to)
{
	if (mount(from, to, NULL, MS_MOVE, NULL))
		die("move %s to %s", from, to);
}

/* While the disks can still be looked up, that is before mount_system() takes /sys away. */
static void mount_lab(void)
{
	char dev[300];

	mount_at("tmpfs", NEWROOT "/run", "tmpfs", 0, "mode=0755");
	mount_at("lab", NEWROOT "/lab", "virtiofs", 0, NULL);
	make_dir(NEWROOT "/run/lab");
	find_disk("lab-modules", dev, sizeof(dev));
	if (*dev)
		mount_at(dev, NEWROOT "/run/lab/modules", "squashfs", MS_RDONLY, NULL);
}

static void mount_system(void)
{
	move_mount_to("/dev", NEWROOT "/dev");
	move_mount_to("/proc", NEWROOT "/proc");
	move_mount_to("/sys", NEWROOT "/sys");
	mount_at("devpts", NEWROOT "/dev/pts", "devpts", 0, "gid=5,mode=620,ptmxmode=666");
	mount_at("tmpfs", NEWROOT "/dev/shm", "tmpfs", 0, NULL);
	mount_at("tmpfs", NEWROOT "/tmp", "tmpfs", 0, "mode=1777");
	mount_if_known("debugfs", NEWROOT "/sys/kernel/debug");
	mount_if_known("tracefs", NEWROOT "/sys/kernel/tracing");
	mount_if_known("bpf", NEWROOT "/sys/fs/bpf");
	mount_if_known("cgroup2", NEWROOT "/sys/fs/cgroup");
}

static void enter(void)
{
	if (chdir(NEWROOT))
		die("chdir %s", NEWROOT);
	move_mount_to(".", "/");
	if (chroot(".") || chdir("/"))
		die("chroot");
}

int main(void)
{
	static char *const argv[] = { HANDOVER, NULL };
	static char *const envp[] = {
		"PATH=/lab/scripts:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"TERM=linux",
		"LANG=C.UTF-8",
		NULL,
	};

	mount_at("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount_at("proc", "/proc", "proc", 0, NULL);
	mount_at("sysfs", "/sys", "sysfs", 0, NULL);
	load_modules();
	mount_root();
	mount_lab();
	mount_system();
	enter();
	execve(HANDOVER, argv, envp);
	die("run %s", HANDOVER);
}
