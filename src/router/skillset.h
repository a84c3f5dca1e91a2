// SPDX-License-Identifier: Apache-2.0
/*
 * What is mounted into a sandbox: one folder with a copy of each skill that its group is given, <home>/skillsets/<hash>, named by what is in it. A copy, so that
 * the agent reads what was hashed and nothing else; one folder, because each mount costs threads of the sandbox's limit. Inside src/router only.
 */
#ifndef CHELA_ROUTER_SKILLSET_H
#define CHELA_ROUTER_SKILLSET_H
#include "router/skill.h"
#include "warden/warden.h"

struct skillset {
	size_t n, files, bytes;
	struct {
		char name[65], hash[65];
	} list[SKILLS_GROUP_MAX];
};
/* E_LIMIT when they are too many or too large together. */
int skillset_add(struct skillset *set, const struct skill *s, struct err *e) must_check;
/* Makes the folder unless it is there; out is its name. */
int skillset_make(const char *home, const struct skillset *set, char out[SKILLS_CAP],
		  struct err *e) must_check;
/* At start: all of them go, those in use are made again. Blocking. */
void skillset_clear(const char *home);

#endif
