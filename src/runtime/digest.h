// SPDX-License-Identifier: Apache-2.0
/* SHA-256 (FIPS 180-4), for contents that are named by their hash; libcrypto's. Never for secrets. */
#ifndef CHELA_RUNTIME_DIGEST_H
#define CHELA_RUNTIME_DIGEST_H
#include <stddef.h>

struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *p, size_t n);
/* 64 lower-case hex digits; nothing may be added after. */
void digest_hex(struct digest *d, char out[65]);
void digest_free(struct digest *d); /* NULL is fine */

#endif
