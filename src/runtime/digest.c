// SPDX-License-Identifier: Apache-2.0
/* SHA-256 by libcrypto, which TLS brings along anyway. It must never be used where a key belongs. */
#include "runtime/digest.h"

#include <openssl/evp.h>

#include "base/mem.h"

static void need(int ok)
{
	if (!ok)
		die("libcrypto has no SHA-256");
}

struct digest *digest_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	need(ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL));
	return (struct digest *)ctx;
}

void digest_add(struct digest *d, const void *p, size_t n)
{
	need(EVP_DigestUpdate((EVP_MD_CTX *)d, p, n));
}

void digest_hex(struct digest *d, char out[65])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	need(EVP_DigestFinal_ex((EVP_MD_CTX *)d, raw, &n) && n == 32);
	for (unsigned i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

void digest_free(struct digest *d)
{
	EVP_MD_CTX_free((EVP_MD_CTX *)d);
}
