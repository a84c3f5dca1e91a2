// SPDX-License-Identifier: Apache-2.0
/* The house of router_inbox_rig.h, for tests of what is left when a conversation is over. */
#ifndef CHELA_TESTS_ROUTER_MEMORY_RIG_H
#define CHELA_TESTS_ROUTER_MEMORY_RIG_H
#include "router_inbox_rig.h"
#include <glob.h>

/* One exchange in the chat c1; the i-th of the box that runs last. */
static void talk(struct house *h, int i, const char *id, const char *ask, const char *reply)
{
	struct box *b;
	int lines = h->n_lines, sent = plat.n_sent;

	asked(id, ask);
	await(h, &h->n_lines, lines + 1);
	b = h->boxes[h->n_boxes - 1];
	answer(b, i, reply);
	await(h, &plat.n_sent, sent + 1);
}

/* How many files have names like this below home. */
static size_t count(struct house *h, const char *pattern)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", h->dir, pattern);
	glob_t g = {0};
	size_t n;

	n = glob(path, 0, NULL, &g) == 0 ? g.gl_pathc : 0;
	globfree(&g);
	return n;
}

#endif
