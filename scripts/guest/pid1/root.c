// SPDX-License-Identifier: GPL-2.0
/*
 * From the initramfs to the guest's root: the modules that this kernel needs for it (listed in
 * /modules/list, in order), a tmpfs over the read-only image, the checkout at /lab, the kernel's
 * modules at /run/lab/modules, and what user space expects to find in /dev.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

#define NEWROOT "/new"

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

/* Reads the one line of a sysfs file. False when it cannot be read. */
static bool read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, line, size - 1);
	close(fd);
	if (len < 0)
		return false;
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return true;
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

		snprintf(path, sizeof(path), "/sys/class/block/%s/serial", entry->d_name);
		if (read_line(path, found, sizeof(found)) && !strcmp(found, serial))
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

static void link_to(const char *target, const char *path)
{
	if (symlink(target, path) && errno != EEXIST)
		die("symlink %s", path);
}

/* What udev would do: the channels to the host by their names, and the usual links. */
static void name_devices(void)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *entry;

	make_dir("/dev/virtio-ports");
	while (dir && (entry = readdir(dir))) {
		char path[300], name[64], target[300];

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
		if (!read_line(path, name, sizeof(name)))
			continue;
		snprintf(path, sizeof(path), "/dev/virtio-ports/%s", name);
		snprintf(target, sizeof(target), "../%s", entry->d_name);
		link_to(target, path);
	}
	if (dir)
		closedir(dir);
	link_to("/proc/self/fd", "/dev/fd");
	link_to("fd/0", "/dev/stdin");
	link_to("fd/1", "/dev/stdout");
	link_to("fd/2", "/dev/stderr");
}

/* A kernel without networking is fine. */
static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		die("bring lo up");
	close(fd);
}

/*
 * A guest that is told to suspend does not get there, since the checkout's file system refuses. Its
 * device comes before the channels to the host if devices are suspended one after the other; side by
 * side the channels may go first, and what is written to them does not always come through again.
 * A kernel that can't suspend is fine.
 */
static void suspend_in_order(void)
{
	int fd = open("/sys/power/pm_async", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "0", 1) != 1)
		die("write /sys/power/pm_async");
	close(fd);
}

static void enter(void)
{
	if (chdir(NEWROOT))
		die("chdir %s", NEWROOT);
	move_mount_to(".", "/");
	if (chroot(".") || chdir("/"))
		die("chroot");
}

void enter_root(void)
{
	mount_at("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount_at("proc", "/proc", "proc", 0, NULL);
	mount_at("sysfs", "/sys", "sysfs", 0, NULL);
	load_modules();
	mount_root();
	mount_lab();
	mount_system();
	enter();
	name_devices();
	if (sethostname("lab", 3))
		die("sethostname");
	loopback_up();
	suspend_in_order();
}
