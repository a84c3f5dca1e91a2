// SPDX-License-Identifier: Apache-2.0
/* Files that wait to be sent. */
#include <errno.h>
#include <unistd.h>
#include "base/log.h"
#include "router/impl.h"

void spool_release(struct router *r, const char *path)
{
	(void)r;
	if (unlink(path) < 0 && errno != ENOENT)
		log_warn("spool", "a file stays", "errno=%d", errno);
}
