// SPDX-License-Identifier: Apache-2.0
/*
 * What the two processes give up, once each has what it needs. Both still run as the user that
 * started the server; when that is root they keep only what their files need.
 */
#ifndef CHELA_WARDEN_POWERS_H
#define CHELA_WARDEN_POWERS_H
#include "policy/config.h"

/* The front: hides the engine's socket (a mount namespace of its own, with /run emptied but for what names
 * and notices need), keeps only CAP_CHOWN, CAP_DAC_OVERRIDE and CAP_FOWNER, sets no_new_privs, forbids
 * core files. Call after warden_fork and before any thread is started. What is not permitted (not root, no unshare) is
 * skipped; one log line says which powers remain. */
void front_drop_powers(const struct config *cfg);

/* The warden's own: no network, the same capabilities, not traceable. */
void warden_drop_powers(void);

#endif
