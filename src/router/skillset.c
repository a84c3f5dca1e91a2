// SPDX-License-Identifier: Apache-2.0
/* See skillset.h. A folder is filled under another name and then named: one that has its name is whole, as long as this server lives. */
#include "router/skillset.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tree.h"
#include "router/workspace.h"
#include "runtime/digest.h"

#define SETS	    "skillsets"
#define CLEAR_STEPS ((size_t)1 << 20)

int skillset_add(struct skillset *set, const struct skill *s, struct err *e)
{
	if (set->n == SKILLS_GROUP_MAX || set->files + s->files > SKILLS_GROUP_FILES ||
	    set->bytes + s->bytes > SKILLS_GROUP_BYTES)
		return err_set(
			e, E_LIMIT,
			"the group's skills are too large together (at most %d files and %d MiB)",
			SKILLS_GROUP_FILES, SKILLS_GROUP_BYTES >> 20);
	str_copy(set->list[set->n].name, 65, s->name);
	str_copy(set->list[set->n++].hash, 65, s->hash);
	set->files += s->files;
	set->bytes += s->bytes;
	return 0;
}

static void name_of(const struct skillset *set, char out[SKILLS_CAP])
{
	struct digest *d = digest_new();

	for (size_t i = 0; i < set->n; i++) {
		digest_add(d, set->list[i].name, strlen(set->list[i].name) + 1);
		digest_add(d, set->list[i].hash, 64);
	}
	digest_hex(d, out);
	digest_free(d);
}

static int fill(const char *home, int dir, const struct skillset *set, struct err *e)
{
	for (size_t i = 0; i < set->n; i++) {
		_cleanup_(cleanup_skill_tree_p) struct skill_tree *t =
			skill_look(home, set->list[i].name, workspace_agent_uid(), e);

		if (!t || skill_copy(t, dir, set->list[i].hash, e) < 0)
			return -1;
	}
	return 0;
}

int skillset_make(const char *home, const struct skillset *set, char out[SKILLS_CAP], struct err *e)
{
	_cleanup_close_ int top = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int sets = -1, fd = -1;
	struct err ignored = ERR_INIT;
	size_t steps = CLEAR_STEPS;
	char name[SKILLS_CAP], tmp[37];
	struct stat st;

	if (top < 0 || (mkdirat(top, SETS, 0700) < 0 && errno != EEXIST) ||
	    (sets = fd_open_beneath(top, SETS, O_RDONLY | O_DIRECTORY, 0)) < 0)
		return err_sys(e, errno, "cannot make %s/" SETS, home);
	name_of(set, name);
	if (fstatat(sets, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		str_copy(out, SKILLS_CAP, name);
		return 0;
	}
	str_uuid4(tmp);
	if (mkdirat(sets, tmp, 0755) < 0 ||
	    (fd = fd_open_beneath(sets, tmp, O_RDONLY | O_DIRECTORY, 0)) < 0 ||
	    fchmod(fd, 0755) < 0)
		return err_sys(e, errno, "cannot make a folder in %s/" SETS, home);
	if (fill(home, fd, set, e) < 0 || renameat(sets, tmp, sets, name) < 0) {
		if (!e->code)
			err_sys(e, errno, "cannot name a folder in %s/" SETS, home);
		if (tree_remove(sets, tmp, &steps, &ignored) != 0)
			log_warn("skills", "a folder is left over", "name=%s", tmp);
		return -1;
	}
	str_copy(out, SKILLS_CAP, name);
	return 0;
}

void skillset_clear(const char *home)
{
	_cleanup_close_ int top = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = ERR_INIT;
	size_t steps = CLEAR_STEPS;

	if (top >= 0 && tree_remove(top, SETS, &steps, &e) != 0)
		log_warn("skills", "old copies are left over", "why=\"%s\"", e.msg);
}
