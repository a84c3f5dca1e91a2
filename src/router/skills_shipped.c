// SPDX-License-Identifier: Apache-2.0
/*
 * The skills that come with Chela. They are part of the program, so that an installed server has them as a checkout does; each is written into the home folder
 * when there is no skill of its name yet, and never again: from then on it is the operator's.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/embed.h"
#include "base/fd.h"
#include "base/log.h"
#include "router/impl.h"
#include "router/skills.h"
#include "router/skillset.h"

EMBED(skill_admin, "skills/admin/SKILL.md");
EMBED(skill_formatting, "skills/formatting/SKILL.md");
EMBED(skill_research, "skills/research/SKILL.md");
EMBED(skill_schedules, "skills/schedules/SKILL.md");
EMBED(skill_welcome, "skills/welcome/SKILL.md");

/* The folder is filled and then named: what is half written is no skill. */
static int write_skill(int dir, const char *name, const char *text, struct err *e)
{
	_cleanup_free_ char *tmp = xasprintf(".%s.new", name);
	_cleanup_close_ int folder = -1, fd = -1;
	size_t n = strlen(text);

	if (mkdirat(dir, tmp, 0755) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make skills/%s", tmp);
	folder = fd_open_beneath(dir, tmp, O_RDONLY | O_DIRECTORY, 0);
	if (folder >= 0)
		fd = openat(folder, SKILL_FILE,
			    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, n) != (ssize_t)n || fchmod(fd, 0644) < 0 ||
	    fchmod(folder, 0755) < 0 || renameat(dir, tmp, dir, name) < 0)
		return err_sys(e, errno, "cannot write skills/%s", name);
	return 0;
}

void skills_open(struct router *r)
{
	static const struct {
		const char *name, *text;
	} shipped[] = {
		{"admin", skill_admin},	      {"formatting", skill_formatting},
		{"research", skill_research}, {"schedules", skill_schedules},
		{"welcome", skill_welcome},
	};
	_cleanup_free_ char *path = xasprintf("%s/skills", r->o.cfg->home);
	_cleanup_close_ int dir = -1;
	struct err e = ERR_INIT;
	struct stat st;

	skillset_clear(r->o.cfg->home);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		log_warn("skills", "cannot make the folder", "path=%s why=\"%s\"", path,
			 strerror(errno));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; dir >= 0 && i < ARRAY_LEN(shipped); i++) {
		if (fstatat(dir, shipped[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (write_skill(dir, shipped[i].name, shipped[i].text, &e) < 0)
			log_warn("skills", "a skill of ours could not be written",
				 "skill=%s why=\"%s\"", shipped[i].name, e.msg);
	}
}
