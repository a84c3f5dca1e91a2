// SPDX-License-Identifier: Apache-2.0
/* See home.h. */
#include "runtime/home.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/str.h"

/* Makes one folder of home, private to us. An existing one is left as it is: in a development
 * checkout groups/ belongs to the working tree. */
static int make_folder(const char *home, const char *name, struct err *e)
{
	_cleanup_free_ char *path = xasprintf("%s%s%s", home, name[0] ? "/" : "", name);
	struct stat st;

	/* The agent reads global through its own mount, as another user. */
	if (mkdir(path, streq(name, "groups/global") ? 0755 : 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder %s", path);
	if (stat(path, &st) < 0)
		return err_sys(e, errno, "cannot use the folder %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, E_INVAL, "%s is in the way: a folder is needed there; move it",
			       path);
	return 0;
}

/* <home>/instance: what makes our containers ours. Written once, whole, and never replaced. */
static int read_instance(const char *home, char instance[37], struct err *e)
{
	_cleanup_free_ char *path = xasprintf("%s/instance", home);
	_cleanup_close_ int fd = -1;
	char line[64];
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		_cleanup_free_ char *tmp = NULL;
		_cleanup_close_ int out = -1;
		char id[37];

		str_uuid4(id);
		tmp = xasprintf("%s.%s", path, id);
		n = snprintf(line, sizeof(line), "%s\n", id);
		out = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (out < 0)
			return err_sys(e, errno, "cannot write %s", tmp);
		/* link, not rename: whoever comes second must take the first one's id. */
		if (write(out, line, (size_t)n) != n || fsync(out) < 0 ||
		    (link(tmp, path) < 0 && errno != EEXIST)) {
			int saved = errno;

			unlink(tmp);
			return err_sys(e, saved, "cannot write %s", path);
		}
		unlink(tmp);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	}
	if (fd < 0)
		return err_sys(e, errno, "cannot read %s", path);
	n = read(fd, line, sizeof(line) - 1);
	if (n < 0)
		return err_sys(e, errno, "cannot read %s", path);
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (!str_is_uuid(line))
		return err_set(e, E_INVAL, "%s does not hold a UUID; remove it to get a new one",
			       path);
	str_copy(instance, 37, line);
	return 0;
}

int home_prepare(const char *home, char instance[37], struct err *e)
{
	static const char *const folders[] = {"",      "groups",  "groups/global", "sessions",
					      "tasks", "secrets", "audit"};

	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (make_folder(home, folders[i], e) < 0)
			return -1;
	return read_instance(home, instance, e);
}
