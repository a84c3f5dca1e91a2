// SPDX-License-Identifier: Apache-2.0
/*
 * `chela backup` and `chela restore`: commands of this machine alone. A backup is made beside a server that runs; a restore needs it to be stopped. The archive is that of
 * admin/archive.h.
 */
#ifndef CHELA_ADMIN_BACKUP_H
#define CHELA_ADMIN_BACKUP_H
#include "admin/cli.h"

int cmd_backup(const struct cli *c);
int cmd_restore(const struct cli *c);
/* Where the time and the name of the last backup stand, below home. */
#define BACKUP_NOTE "run/backup"

#endif
