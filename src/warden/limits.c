// SPDX-License-Identifier: Apache-2.0
/*
 * Are the limits that we asked for really in force? Some runtimes and engines accept them and do
 * nothing, and a sandbox without a memory limit can take the host down. So the kernel's own files are read,
 * for the process that the engine names as the container's (under gVisor: its sandbox process,
 * whose cgroup holds the whole sandbox).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include "base/str.h"
#include "warden/sandbox.h"

#define NOT_THERE (-2) /* no such file */

static ssize_t read_text(const char *path, char *dst, size_t cap)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, dst, cap - 1);

	dst[n > 0 ? n : 0] = '\0';
	return n;
}

/* The number in a limit file; "max" is INT64_MAX; NOT_THERE or -1 when it cannot be had. */
static int64_t read_limit(const char *dir, const char *file)
{
	char path[PATH_CAP + 512], text[64];
	struct err e = ERR_INIT;
	int64_t v;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, file) >= sizeof(path))
		return -1;
	if (read_text(path, text, sizeof(text)) <= 0)
		return errno == ENOENT ? NOT_THERE : -1;
	text[strcspn(text, "\n")] = '\0';
	if (streq(text, "max"))
		return INT64_MAX;
	return str_to_i64(text, 0, INT64_MAX, &v, &e) < 0 ? -1 : v;
}

/* True when the comma-separated list of n bytes holds the word. */
static bool has_word(const char *list, size_t n, const char *word)
{
	_cleanup_free_ char *in = xasprintf(",%.*s,", (int)n, list);
	_cleanup_free_ char *what = xasprintf(",%s,", word);

	return strstr(in, what) != NULL;
}

/* The folder of a controller from the lines "id:controllers:path" of /proc/PID/cgroup (cgroups(7)).
 * Version 2 has the one line "0::path". */
static int cgroup_dir(const char *root, const char *lines, const char *controller, bool v2,
		      char *dst, size_t cap)
{
	for (const char *line = lines; *line;) {
		const char *names = strchr(line, ':');
		const char *path = names ? strchr(names + 1, ':') : NULL;
		size_t n = strcspn(line, "\n"), k;
		int w = 0;

		if (!path || path > line + n)
			return -1;
		names++;
		k = (size_t)(path - names);
		path++;
		if (v2 ? (k == 0 && line[0] == '0') : has_word(names, k, controller)) {
			w = snprintf(dst, cap, "%s/sys/fs/cgroup%s%s%.*s", root, v2 ? "" : "/",
				     v2 ? "" : controller, (int)(line + n - path), path);
			return w < 0 || (size_t)w >= cap ? -1 : 0;
		}
		line += n + (line[n] == '\n');
	}
	return -1;
}

static int want(const char *what, int64_t is, int64_t asked, struct err *e)
{
	if (is == asked)
		return 0;
	if (is < 0)
		return err_set(
			e, E_PERM,
			"the sandbox's %s limit cannot be read: it is not known to be in force",
			what);
	return err_set(
		e, E_PERM,
		"the sandbox's %s limit is not in force (asked for %lld, the kernel has %lld): "
		"the runtime or the engine ignores it",
		what, (long long)asked, (long long)is);
}

static bool is_v2(const char *root)
{
	char path[PATH_CAP];

	snprintf(path, sizeof(path), "%s/sys/fs/cgroup/cgroup.controllers", root);
	return access(path, F_OK) == 0;
}

bool limits_exiting(const char *root, pid_t pid)
{
	char path[PATH_CAP], text[1024], *p;

	snprintf(path, sizeof(path), "%s/proc/%d/stat", root, (int)pid);
	if (read_text(path, text, sizeof(text)) <= 0 || !(p = strrchr(text, ')')))
		return true;
	/* proc(5): the 9th field, the 7th after the name; 4 is the kernel's PF_EXITING */
	for (int field = 2; field < 9 && p; field++)
		p = strchr(p + 1, ' ');
	return p && (strtoll(p, NULL, 10) & 4);
}

void limits_where(const char *root, pid_t pid, char *dst, size_t cap)
{
	char path[PATH_CAP], text[4096];

	snprintf(path, sizeof(path), "%s/proc/%d/cgroup", root, (int)pid);
	if (read_text(path, text, sizeof(text)) <= 0 ||
	    cgroup_dir(root, text, "memory", is_v2(root), dst, cap) < 0)
		dst[0] = '\0';
}

bool limits_oom(const char *dir)
{
	char path[PATH_CAP + 64], text[4096], *n;
	struct err e = ERR_INIT;
	int64_t kills;

	snprintf(path, sizeof(path), "%s/memory.events", dir);
	if (read_text(path, text, sizeof(text)) <= 0) { /* not version 2 */
		snprintf(path, sizeof(path), "%s/memory.oom_control", dir);
		if (read_text(path, text, sizeof(text)) <= 0)
			return false;
	}
	n = strstr(text, "oom_kill ");
	if (!n)
		return false;
	n += strlen("oom_kill ");
	n[strcspn(n, "\n")] = '\0';
	return str_to_i64(n, 1, INT64_MAX, &kills, &e) == 0;
}

int limits_check(const char *root, pid_t pid, const struct sandbox_policy *p, struct err *e)
{
	char path[PATH_CAP], lines[4096], mem[PATH_CAP], pids[PATH_CAP];
	int64_t memory = spec_memory(p), swap;
	bool v2 = is_v2(root);

	snprintf(path, sizeof(path), "%s/proc/%d/cgroup", root, (int)pid);
	/* One that has died already is in no cgroup, or in the topmost one: that says nothing of the limits. */
	if (limits_exiting(root, pid) || read_text(path, lines, sizeof(lines)) <= 0)
		return err_set(e, E_TEMP, "the sandbox's process ended at once");
	if (cgroup_dir(root, lines, "memory", v2, mem, sizeof(mem)) < 0 ||
	    cgroup_dir(root, lines, "pids", v2, pids, sizeof(pids)) < 0)
		return err_set(e, E_PERM,
			       "the sandbox is in no cgroup for memory and pids: its limits are "
			       "not in force");
	if (want("memory", read_limit(mem, v2 ? "memory.max" : "memory.limit_in_bytes"), memory,
		 e) < 0 ||
	    want("pids", read_limit(pids, "pids.max"), spec_pids(p), e) < 0)
		return -1;
	/* Without these files the kernel does not count swap; the memory limit holds all the same. */
	swap = read_limit(mem, v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes");
	if (swap == NOT_THERE)
		return 0;
	return want("swap", swap, v2 ? 0 : memory, e);
}
