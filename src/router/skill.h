// SPDX-License-Identifier: Apache-2.0
/*
 * One skill: the folder <home>/skills/<name> with its SKILL.md in the agent's own format, what it says of itself, what it asks for, and the hash of
 * all that is in it. Knows nothing of groups. Inside src/router only.
 */
#ifndef CHELA_ROUTER_SKILL_H
#define CHELA_ROUTER_SKILL_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/mem.h"

#define SKILL_FILE	   "SKILL.md"
#define SKILL_FILES_MAX	   200
#define SKILL_BYTES_MAX	   (2 << 20)
#define SKILL_NEEDS_CAP	   1024
#define SKILL_PRINT_CAP	   65
#define SKILLS_GROUP_MAX   16
#define SKILLS_GROUP_BYTES (4 << 20) /* of all skills of a group: they are copied in one go */
#define SKILLS_GROUP_FILES 400

struct skill {
	char name[65];
	char hash[65];		/* SHA-256 over the sorted paths, sizes and contents */
	char description[1025]; /* one line */
	/* What it asks for, words with blanks between: "main", "network:HOST", "tool:NAME" (as in allowed-tools, without patterns). */
	char needs[SKILL_NEEDS_CAP];
	size_t files, bytes;
};

/* [a-z0-9][a-z0-9-]{0,63} */
bool skill_name_ok(const char *name);
/* What stands between the two lines --- at the head of SKILL.md. E_INVAL in words that name the skill. */
int skill_parse(const char *text, size_t n, const char *name, struct skill *out,
		struct err *e) must_check;

/* The folder as it lies there: which files, and a fingerprint that changes when any of them does, without reading them. */
struct skill_tree;
/* agent: who must be able to read all of it and own none of it. E_GONE when there is no such skill, E_INVAL or E_PERM naming what is wrong with it: a link, too many files, ... */
struct skill_tree *skill_look(const char *home, const char *name, uid_t agent,
			      struct err *e) must_check;
const char *skill_print(const struct skill_tree *t);
/* Reads and hashes all of it: some ms for the largest. */
int skill_read(const struct skill_tree *t, struct skill *out, struct err *e) must_check;
/* The hash of a skill that is a SKILL.md of this text and nothing else. */
void skill_hash_text(const char *text, size_t n, char out[65]);
/* Makes a copy <name> in the folder dir, readable by all. E_TEMP when what was copied has not this hash. */
int skill_copy(const struct skill_tree *t, int dir, const char *hash, struct err *e) must_check;
void skill_tree_free(struct skill_tree *t); /* NULL is fine */
static inline void cleanup_skill_tree_p(struct skill_tree **t)
{
	skill_tree_free(*t);
}

#endif
