// SPDX-License-Identifier: Apache-2.0
/* A mount namespace of the process's own: for who wants to see less of the file system than the rest of the machine. */
#ifndef CHELA_RUNTIME_OWN_MOUNTS_H
#define CHELA_RUNTIME_OWN_MOUNTS_H

/* 0, or -1 with errno and nothing changed. Without the right to it, within a user namespace of our own, where we are the same user and group as before (others
 * are nobody there); that also keeps our equals outside from being looked into, and us from looking into them. Before any thread is started. */
int own_mounts(void);

#endif
