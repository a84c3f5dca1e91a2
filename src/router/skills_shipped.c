// SPDX-License-Identifier: Apache-2.0
/*
 * The skills that come with Chela. They are part of the program, so that an installed server has them as a checkout does; each is written into the home folder
 * when there is no skill of its name yet. What was written is on record by its hash: as long as it lies there unchanged, a newer version of Chela puts its own in its
 * place. Once the operator has changed it, it is the operator's: it is never overwritten, but by an order (skills reset), and then the operator's is kept aside.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/embed.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "router/impl.h"
#include "router/skills.h"
#include "router/skillset.h"
#include "store/people.h"
#include "store/skills.h"

#define SETTING                                                                                    \
	"skill.shipped." /* the hash that was last written under that name, or found to be ours */

EMBED(skill_admin, "skills/admin/SKILL.md");
EMBED(skill_formatting, "skills/formatting/SKILL.md");
EMBED(skill_research, "skills/research/SKILL.md");
EMBED(skill_schedules, "skills/schedules/SKILL.md");
EMBED(skill_welcome, "skills/welcome/SKILL.md");

/* first: what the version shipped that kept no record yet. */
static const struct ours {
	const char *name, *text, *first;
} shipped[] = {
	{"admin", skill_admin, "54bd0201731871c4bf5646429eb5088db9b37223d297803740ac6449a765c045"},
	{"formatting", skill_formatting,
	 "489f15cbfb2921974f07cd9805905034c45c63adc37d066e72337e1bd0a27c5b"},
	{"research", skill_research,
	 "b8f23453cfe72f3f935ae6fb7f123589f6a9dc79695175a9547ee56a9995f246"},
	{"schedules", skill_schedules,
	 "62e506e5cb4ba8d5cb18f6d443c22f5b41ac297190466ecd4d0ba4edfa4d231f"},
	{"welcome", skill_welcome,
	 "8714ad1953690d45a44d228dfd6ca280ced9f0e936d0100e355ca6c81c0d0235"},
};

static const struct ours *ours_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
		if (streq(shipped[i].name, name))
			return &shipped[i];
	}
	return NULL;
}

/* --- the folder --------------------------------------------------------------------------- */

static int open_folder(const struct router *r, struct err *e)
{
	_cleanup_free_ char *path = xasprintf("%s/skills", r->o.cfg->home);
	int dir;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder %s", path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? err_sys(e, errno, "cannot open the folder %s", path) : dir;
}

/* ".NAME.new", filled and on the disk: what is half written is no skill. */
static int prepare(int dir, const struct ours *o, const char *tmp, struct err *e)
{
	_cleanup_close_ int folder = -1, fd = -1;
	size_t n = strlen(o->text);

	if (mkdirat(dir, tmp, 0755) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make skills/%s", tmp);
	folder = fd_open_beneath(dir, tmp, O_RDONLY | O_DIRECTORY, 0);
	if (folder >= 0)
		fd = openat(folder, SKILL_FILE,
			    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, o->text, n) != (ssize_t)n || fchmod(fd, 0644) < 0 ||
	    fchmod(folder, 0755) < 0 || fsync(fd) < 0)
		return err_sys(e, errno, "cannot write skills/%s", tmp);
	return 0;
}

static int write_new(int dir, const struct ours *o, struct err *e)
{
	_cleanup_free_ char *tmp = xasprintf(".%s.new", o->name);

	if (prepare(dir, o, tmp, e) < 0)
		return -1;
	if (renameat(dir, tmp, dir, o->name) < 0)
		return err_sys(e, errno, "cannot write skills/%s", o->name);
	return 0;
}

/* Where it is a SKILL.md and nothing else. */
static int replace(int dir, const struct ours *o, struct err *e)
{
	_cleanup_free_ char *tmp = xasprintf(".%s.new", o->name);
	_cleanup_free_ char *from = xasprintf("%s/" SKILL_FILE, tmp);
	_cleanup_free_ char *to = xasprintf("%s/" SKILL_FILE, o->name);

	if (prepare(dir, o, tmp, e) < 0)
		return -1;
	if (renameat(dir, from, dir, to) < 0)
		return err_sys(e, errno, "cannot write skills/%s", to);
	if (unlinkat(dir, tmp, AT_REMOVEDIR) < 0)
		log_warn("skills", "a folder is left over", "name=%s", tmp);
	return 0;
}

/* --- the record --------------------------------------------------------------------------- */

struct fact {
	const char *key;
	char hash[65];
};

static void take_fact(void *ctx, const char *key, const char *value)
{
	struct fact *f = ctx;

	if (streq(key, f->key))
		str_copy(f->hash, sizeof(f->hash), value);
}

/* What was last written or found to be ours; "" = nothing is on record. */
static int recorded(struct router *r, const struct ours *o, char out[65], struct err *e)
{
	_cleanup_free_ char *key = xasprintf(SETTING "%s", o->name);
	struct fact f = {.key = key};

	if (store_settings_each(r->store, key, take_fact, &f, e) < 0)
		return -1;
	str_copy(out, 65, f.hash);
	return 0;
}

static int record(struct router *r, const struct ours *o, const char *hash, struct err *e)
{
	_cleanup_free_ char *key = xasprintf(SETTING "%s", o->name);

	return store_setting_set(r->store, key, hash, e);
}

struct holders {
	const char *name, *hash;
	size_t n, cap;
	int64_t *ids;
};

static void add_holder(void *ctx, const struct skill_row *s)
{
	struct holders *h = ctx;

	if (!streq(s->skill, h->name) || (h->hash && !streq(s->hash, h->hash)))
		return;
	if (h->n == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 16;
		h->ids = xrealloc(h->ids, h->cap * sizeof(*h->ids));
	}
	h->ids[h->n++] = s->group_id;
}

/* The groups that have it with the old content (NULL = with any) agreed to ours, as they did when they were given it. */
static int agree(struct router *r, const struct ours *o, const char *old, const char *hash,
		 enum refresh *when, struct err *e)
{
	struct holders h = {.name = o->name, .hash = old};
	int rc = store_skill_each(r->store, 0, add_holder, &h, e);

	for (size_t i = 0; rc == 0 && i < h.n; i++) {
		enum refresh one;

		rc = store_skill_changed(r->store, h.ids[i], o->name, hash, e);
		if (!when)
			continue;
		one = group_refresh(r, h.ids[i]);
		*when = one > *when ? one : *when;
	}
	free(h.ids);
	return rc;
}

/* --- at start ----------------------------------------------------------------------------- */

static int renew(struct router *r, int dir, const struct ours *o, const char *old, const char *hash,
		 struct err *e)
{
	_cleanup_free_ char *act =
		xasprintf("skills renew %s: %.12s is %.12s now", o->name, old, hash);

	if (replace(dir, o, e) < 0)
		return -1;
	log_info("skills", "renewed", "skill=%s old=%.12s new=%.12s", o->name, old, hash);
	if (agree(r, o, old, hash, NULL, e) < 0 || record(r, o, hash, e) < 0)
		return -1;
	return store_act_add(r->store, "Chela " CHELA_VERSION, 0, 0, "start", act, true, e);
}

static int look_after(struct router *r, int dir, const struct ours *o, struct err *e)
{
	struct err why = ERR_INIT;
	char hash[65], was[65];
	struct skill s;
	struct stat st;

	skill_hash_text(o->text, strlen(o->text), hash);
	if (recorded(r, o, was, e) < 0)
		return -1;
	if (fstatat(dir, o->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return write_new(dir, o, e) < 0 ? -1 : record(r, o, hash, e);
	if (skills_get(r, o->name, &s, &why) < 0)
		return 0; /* the operator's: told of wherever it is asked for */
	if (streq(s.hash, hash))
		return streq(was, hash) ? 0 : record(r, o, hash, e);
	if (streq(s.hash, was) || streq(s.hash, o->first))
		return renew(r, dir, o, s.hash, hash, e);
	if (!streq(was[0] ? was : o->first, hash))
		log_info("skills", "kept, though a newer one is shipped", "skill=%s", o->name);
	return 0;
}

int skills_open(struct router *r, struct err *e)
{
	_cleanup_close_ int dir = -1;
	struct err why = ERR_INIT;

	skillset_clear(r->o.cfg->home);
	dir = open_folder(r, &why);
	if (dir < 0) {
		log_warn("skills", "cannot be written", "why=\"%s\"", why.msg);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
		if (look_after(r, dir, &shipped[i], &why) == 0)
			continue;
		if (store_broken(r->store)) {
			*e = why;
			return -1;
		}
		log_warn("skills", "a skill of ours could not be written", "skill=%s why=\"%s\"",
			 shipped[i].name, why.msg);
		why = (struct err)ERR_INIT;
	}
	return 0;
}

/* --- what the operator is told, and does -------------------------------------------------- */

int skills_shipped(struct router *r, const char *name, enum shipped *out, struct err *e)
{
	const struct ours *o = ours_of(name);
	struct err why = ERR_INIT;
	char hash[65], was[65];
	struct skill s;

	*out = SHIPPED_NOT;
	if (!o)
		return 0;
	skill_hash_text(o->text, strlen(o->text), hash);
	if (recorded(r, o, was, e) < 0)
		return -1;
	if (skills_get(r, name, &s, &why) == 0 && streq(s.hash, hash))
		*out = SHIPPED_SAME;
	else
		*out = streq(was[0] ? was : o->first, hash) ? SHIPPED_CHANGED : SHIPPED_NEWER;
	return 0;
}

int skills_newer(struct router *r, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
		enum shipped how;

		if (skills_shipped(r, shipped[i].name, &how, e) < 0)
			return -1;
		if (how == SHIPPED_NEWER)
			buf_putf(out, "%s%s", out->len ? " " : "", shipped[i].name);
	}
	return 0;
}

static int refuse_others(const char *name, struct err *e)
{
	_cleanup_(buf_free) struct buf all = {0};
	char word[65];

	for (size_t i = 0; i < ARRAY_LEN(shipped); i++)
		buf_putf(&all, "%s%s", i ? ", " : "", shipped[i].name);
	return err_set(e, E_GONE, "no skill \"%s\" comes with Chela; those that do: %s",
		       str_one_line(word, sizeof(word), name), all.p);
}

/* The folder under a name that is no skill's. */
static int put_aside(const struct router *r, int dir, const struct ours *o, char kept[96],
		     struct err *e)
{
	time_t now = (time_t)(clock_wall(r->o.clk) / 1000);
	char stamp[32];
	struct tm tm;

	if (!gmtime_r(&now, &tm) || !strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm))
		return err_set(e, E_BUG, "the clock has no date");
	snprintf(kept, 96, ".%s.%s", o->name, stamp);
	if (renameat(dir, o->name, dir, kept) == 0)
		return 0;
	if (errno != ENOENT)
		return err_sys(e, errno, "cannot keep skills/%s as skills/%s", o->name, kept);
	kept[0] = '\0';
	return 0;
}

int skills_reset(struct router *r, const char *name, char kept[96], enum refresh *when,
		 struct err *e)
{
	const struct ours *o = ours_of(name);
	_cleanup_close_ int dir = -1;
	struct err ignored = ERR_INIT;
	enum shipped how;
	char hash[65];

	*when = REFRESH_NONE;
	if (!o)
		return refuse_others(name, e);
	if (skills_shipped(r, name, &how, e) < 0)
		return -1;
	if (how == SHIPPED_SAME)
		return err_set(e, E_INVAL, "%s is what this version ships already", name);
	dir = open_folder(r, e);
	if (dir < 0 || put_aside(r, dir, o, kept, e) < 0)
		return -1;
	if (write_new(dir, o, e) < 0) {
		if (kept[0] && renameat(dir, kept, dir, o->name) < 0)
			err_sys(&ignored, errno, "cannot put it back");
		if (ignored.code)
			log_warn("skills", "not put back", "skill=%s kept=%s why=\"%s\"", name,
				 kept, ignored.msg);
		return -1;
	}
	skill_hash_text(o->text, strlen(o->text), hash);
	return record(r, o, hash, e) < 0 ? -1 : agree(r, o, NULL, hash, when, e);
}
