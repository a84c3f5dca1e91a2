// SPDX-License-Identifier: Apache-2.0
/*
 * What the other files of this folder need from the loop and nobody above may use: the library's
 * own loop for a foreign event source, the shared read buffer, and the count of children that
 * still have to be reaped.
 */
#ifndef CHELA_RUNTIME_LOOP_INTERNAL_H
#define CHELA_RUNTIME_LOOP_INTERNAL_H
#include <stdint.h>
#include "runtime/loop.h"

struct uv_loop_s;

/* The libuv loop, for a library that brings its own handles. Such a library must put each of its
 * call-backs into our code between loop_enter and loop_leave, or no turn end follows them. */
struct uv_loop_s *loop_uv(struct loop *l);
/* Nestable. loop_enter returns the start time that loop_leave takes back. */
uint64_t loop_enter(struct loop *l);
void loop_leave(struct loop *l, const char *what, uint64_t start);

/* One read buffer for all sockets: whoever fills it must be done with it when his call-back returns. */
#define LOOP_SCRATCH ((size_t)64 << 10)
uint8_t *loop_scratch(struct loop *l);

/* Work that outlives its owner's free (+1) and its end (-1); loop_free waits for it, up to 2 s. */
void loop_hold(struct loop *l, int by);

#endif
