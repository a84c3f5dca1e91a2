// SPDX-License-Identifier: Apache-2.0
/*
 * Which skills a group's agent is given. A skill lies in <home>/skills/<name>; a copy of exactly what was hashed is
 * mounted read-only into the sandboxes of the groups that have enabled it; what asks for more than the group's policy gives is refused, with the missing permission named.
 */
#ifndef CHELA_ROUTER_SKILLS_H
#define CHELA_ROUTER_SKILLS_H
#include "base/buf.h"
#include "router/groups.h"
#include "router/skill.h"
#include "warden/warden.h"

/* At start: writes the skills that come with Chela into <home>/skills where there is no folder of that name, and renews those that are still exactly what an earlier
 * version wrote there. What the operator has changed stays. */
int skills_open(struct router *r, struct err *e) must_check;
/* How a skill that comes with Chela lies there. */
enum shipped {
	SHIPPED_NOT,	 /* it does not come with Chela */
	SHIPPED_SAME,	 /* as this version ships it */
	SHIPPED_CHANGED, /* changed by the operator; this version ships what it was changed from */
	SHIPPED_NEWER,	 /* the same, and this version ships a newer text */
};
int skills_shipped(struct router *r, const char *name, enum shipped *out, struct err *e) must_check;
/* The names of those that are SHIPPED_NEWER, with blanks between. */
int skills_newer(struct router *r, struct buf *out, struct err *e) must_check;
/* Makes it what this version ships; what was there is kept aside in the folder skills/<kept> ("" = nothing was). E_GONE names those that come with Chela. *when as for skills_enable. */
int skills_reset(struct router *r, const char *name, char kept[96], enum refresh *when,
		 struct err *e) must_check;
void skills_close(struct router *r);

/* The set for a sandbox_request, for a start of this group: the skills enabled, less those that may not be given now. What was given is recorded; what has changed,
 * and what is withheld, is told in main, once. Never fails: a group without a skill is better than one without an agent. */
void skills_of(struct router *r, const struct group_row *g, char out[SKILLS_CAP]);

/* A skill as it lies there now; read again only when a file has changed. E_GONE when there is none. */
int skills_get(struct router *r, const char *name, struct skill *out, struct err *e) must_check;
/* The names of all folders in <home>/skills that can be skills, sorted; why: what is wrong with it, or NULL and s is set. */
typedef void skill_fn(void *ctx, const char *name, const struct skill *s, const struct err *why);
int skills_each(struct router *r, skill_fn *fn, void *ctx, struct err *e) must_check;
/* Adds what the skill asks for and the group's policy does not give: "main, tool:register_group (only in main); network:example.org (...)". */
void skills_missing(struct router *r, const struct skill *s, const struct group_row *g,
		    struct buf *out);
/* E_PERM names each missing permission. *when: from when on it holds. */
int skills_enable(struct router *r, const char *name, const struct group_row *g, const char *by,
		  enum refresh *when, struct err *e) must_check;
int skills_disable(struct router *r, const char *name, const struct group_row *g,
		   enum refresh *when, struct err *e) must_check;
/* Gives a group that has never had any its first skills. Called wherever a group's skills are asked for. */
int skills_default(struct router *r, const struct group_row *g, struct err *e) must_check;

#endif
