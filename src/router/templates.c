// SPDX-License-Identifier: Apache-2.0
/*
 * What a new group's memory begins with. The texts are part of the program, so that an installed server has them as a checkout does; a
 * file groups/template/CLAUDE.md in the home folder takes the place of the one for new groups. Nothing that is there is ever overwritten.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/embed.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "router/groups_impl.h"
#include "router/workspace.h"

#define TEMPLATE_MAX ((size_t)64 << 10)

EMBED(template_group, "groups/template/CLAUDE.md");
EMBED(template_main, "groups/main/CLAUDE.md");
EMBED(template_global, "groups/global/CLAUDE.md");

/* A file in dir, unless its name is taken. */
static int put_file(int dir, const char *name, const char *text, size_t n, bool give, struct err *e)
{
	_cleanup_close_ int fd = workspace_create(dir, name);
	ssize_t got;

	if (fd < 0)
		return errno == EEXIST ? 0 : err_sys(e, errno, "cannot write %s", name);
	got = write(fd, text, n);
	if (got == (ssize_t)n && (give ? workspace_give(fd, e) == 0 : fchmod(fd, 0644) == 0))
		return 0;
	if (!e->code)
		err_sys(e, got < 0 ? errno : EIO, "cannot write %s", name);
	unlinkat(dir, name, 0);
	return -1;
}

/* The operator's own template, or ours. Caller frees. */
static char *for_groups(const char *home, size_t *n)
{
	struct err none = ERR_INIT;
	_cleanup_close_ int dir = workspace_open(home, "template", false, &none);
	_cleanup_close_ int fd =
		dir < 0 ? -1 : fd_open_beneath(dir, "CLAUDE.md", O_RDONLY | O_NONBLOCK, 0);
	char *text = xmalloc(TEMPLATE_MAX + 1);
	ssize_t got = fd < 0 ? -1 : fd_read_all(fd, text, TEMPLATE_MAX);

	if (got < 0) {
		free(text);
		text = xstrdup(template_group);
		got = (ssize_t)strlen(text);
	}
	*n = (size_t)got;
	return text;
}

int template_put(const char *home, const struct group_row *g, struct err *e)
{
	_cleanup_close_ int dir = workspace_open(home, g->name, true, e);
	_cleanup_free_ char *own = NULL;
	struct stat st;
	size_t n;

	if (dir < 0)
		return -1;
	if (g->is_main) {
		n = strlen(template_main);
	} else {
		own = for_groups(home, &n);
	}
	/* A folder that is still ours is given to the agent with its files by the warden, later. */
	return fstat(dir, &st) < 0 ? err_sys(e, errno, "cannot look at the folder of %s", g->name)
				   : put_file(dir, "CLAUDE.md", own ? own : template_main, n,
					      st.st_uid == workspace_agent_uid(), e);
}

int template_put_global(const char *home, struct err *e)
{
	_cleanup_close_ int dir = workspace_open(home, "global", true, e);

	if (dir < 0)
		return -1;
	/* The agents of other groups read it as another user. */
	if (fchmod(dir, 0755) < 0)
		log_warn("groups", "groups/global may not be readable", "why=\"%s\"",
			 strerror(errno));
	return put_file(dir, "CLAUDE.md", template_global, strlen(template_global), false, e);
}
