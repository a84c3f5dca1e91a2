// SPDX-License-Identifier: Apache-2.0
/*
 * Dropping powers. The front parses what strangers send, so it must not be able to reach the
 * engine's socket even when it is taken over: as root it could connect to it, trace the warden, or
 * mount things. A socket file alone cannot be covered for good (the engine makes a new one when it
 * restarts, which undoes a mount on the old), so the folder it lies in is.
 */
#include "warden/powers.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "base/log.h"
#include "base/str.h"
#include "runtime/own_mounts.h"

#define BIT(cap) (1ULL << (cap))
#define KEPT	 (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER))

/* Keeps at most the capabilities of mask, for good. Returns those that remain. */
static uint64_t keep_caps(uint64_t mask)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	uint64_t left;

	for (unsigned long cap = 0; cap < 64; cap++)
		if (!(mask & BIT(cap)))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_capget, &h, d) < 0)
		return ~0ULL;
	left = (((uint64_t)d[1].permitted << 32) | d[0].permitted) & mask;
	for (int i = 0; i < 2; i++) {
		d[i].permitted = d[i].effective = (uint32_t)(left >> (32 * i));
		d[i].inheritable = 0;
	}
	return syscall(SYS_capset, &h, d) < 0 ? ~0ULL : left;
}

static void make_folders(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	mkdir(path, 0755);
}

/* Empties /run for this process but for a few folders, and its home if that is there. */
static int cover_run(const struct config *cfg)
{
	const char *keep[] = {
		"/run/systemd/resolve", "/run/systemd/journal",
		"/run/resolvconf",	"/run/NetworkManager",
		"/run/connman",		"/run/nscd",
		"/run/credentials",	str_starts(cfg->home, "/run/") ? cfg->home : NULL};
	int fds[ARRAY_LEN(keep)], r;

	for (size_t i = 0; i < ARRAY_LEN(keep); i++)
		fds[i] = keep[i] ? open(keep[i], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	r = mount("none", "/run", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=1m");
	for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
		char from[64], to[PATH_CAP];

		if (fds[i] < 0)
			continue;
		snprintf(from, sizeof(from), "/proc/self/fd/%d", fds[i]);
		str_copy(to, sizeof(to), keep[i]);
		if (r == 0) {
			make_folders(to);
			mount(from, to, "none", MS_BIND | MS_REC, NULL);
		}
		close(fds[i]);
	}
	return r;
}

/* 0 when nobody in this process can reach the engine's socket by its path any more. */
static int hide_engine(const struct config *cfg)
{
	_cleanup_free_ char *real = realpath(cfg->engine_socket, NULL);
	const char *path = real ? real : cfg->engine_socket;

	if (own_mounts() < 0 || mount("none", "/", "none", MS_REC | MS_SLAVE, NULL) < 0)
		return -1;
	/* The usual place is covered in any case: an engine may be there beside the configured one. */
	if (access("/run", F_OK) == 0 && cover_run(cfg) < 0)
		return -1;
	if (str_starts(path, "/run/") || str_starts(path, "/var/run/"))
		return 0;
	if (!real)
		return errno == ENOENT ? 0 : -1;
	return mount("/dev/null", path, "none", MS_BIND, NULL);
}

static void name_caps(uint64_t caps, char *dst, size_t cap)
{
	static const char *const known[] = {"chown", "dac_override", "dac_read_search", "fowner"};
	size_t n = 0;

	snprintf(dst, cap, "%s", caps ? "" : "none");
	for (unsigned i = 0; i < 64 && n < cap; i++) {
		if (!(caps & BIT(i)))
			continue;
		if (i < ARRAY_LEN(known))
			n += (size_t)snprintf(dst + n, cap - n, "%s%s", n ? "," : "", known[i]);
		else
			n += (size_t)snprintf(dst + n, cap - n, "%s%u", n ? "," : "", i);
	}
}

void front_drop_powers(const struct config *cfg)
{
	static const struct rlimit none = {0, 0};
	char caps[256], why[64] = "";
	bool hidden = hide_engine(cfg) == 0;

	if (!hidden)
		snprintf(why, sizeof(why), " hidden_why=\"%s\"", strerror(errno));
	setrlimit(RLIMIT_CORE, &none); /* keys are in our memory */
	name_caps(keep_caps(geteuid() ? 0 : KEPT), caps, sizeof(caps));
	log_write(hidden ? LOG_INFO : LOG_WARN, "front", "powers that remain",
		  "uid=%u caps=%s no_new_privs=%d engine_socket=%s%s", (unsigned)geteuid(), caps,
		  prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), hidden ? "hidden" : "in sight", why);
}

void warden_drop_powers(void)
{
	char caps[256];
	bool netless = unshare(CLONE_NEWNET) == 0;

#ifndef __SANITIZE_ADDRESS__ /* whose leak check traces its own process */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	name_caps(keep_caps(KEPT), caps, sizeof(caps));
	log_info("warden", "powers that remain", "uid=%u caps=%s network=%s", (unsigned)geteuid(),
		 caps, netless ? "none" : "the host's");
}
