// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the configuration anew while the server runs. All of it is checked first: one wrong line, and everything stays as it was. What can change at
 * once does; of the rest the keys are named, and they wait for a restart.
 */
#ifndef CHELA_ADMIN_RELOAD_H
#define CHELA_ADMIN_RELOAD_H
#include "base/buf.h"
#include "router/router.h"

struct reload;
/* live: the struct that everybody reads; it is written by reload_do. Remembers what is in force. */
struct reload *reload_new(struct config *live, struct err *e) must_check;
void reload_free(struct reload *l);
/* said: one line for people, without a newline. */
int reload_do(struct reload *l, struct router *r, struct buf *said, struct err *e) must_check;
/* Only looks whether a start with what is on the disk now would work as far as the configuration goes. */
int reload_check(const struct reload *l, struct err *e) must_check;

#endif
