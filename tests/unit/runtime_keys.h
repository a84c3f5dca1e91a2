// SPDX-License-Identifier: Apache-2.0
/* A CA and a server's certificate for the tests of TLS, made by openssl in the test's own folder. */
#ifndef CHELA_TESTS_UNIT_RUNTIME_KEYS_H
#define CHELA_TESTS_UNIT_RUNTIME_KEYS_H
#include "runtime_fix.h"
#include "runtime/proc.h"

struct keys {
	char ca[96], cert[96], key[96];
};

static void keys_tool_exit(void *ctx, int code, int signo)
{
	struct fix *f = ctx;

	assert_int_equal(code, 0);
	assert_int_equal(signo, 0);
	loop_stop(f->l);
}

static void keys_tool(struct fix *f, const char *const *argv)
{
	const struct proc_spec s = {.argv = argv, .fds = {-1, -1, -1}};
	struct err e = ERR_INIT;
	struct proc *p = proc_spawn(f->l, "openssl", &s, keys_tool_exit, f, &e);

	assert_non_null(p);
	loop_run(f->l);
	proc_free(p);
}

/* san: what the certificate is for, such as "DNS:localhost". */
static void keys_make(struct keys *k, struct fix *f, const char *san)
{
	_cleanup_free_ char *alt = xasprintf("subjectAltName=%s", san);
	char ca_key[96];

	snprintf(k->ca, sizeof(k->ca), "%s/ca.pem", f->dir);
	snprintf(ca_key, sizeof(ca_key), "%s/ca.key", f->dir);
	snprintf(k->cert, sizeof(k->cert), "%s/cert.pem", f->dir);
	snprintf(k->key, sizeof(k->key), "%s/key.pem", f->dir);
#define EC "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"
	keys_tool(f, (const char *const[]){"openssl", "req", "-x509", EC, "-subj", "/CN=test CA",
					   "-keyout", ca_key, "-out", k->ca, "-days", "2", NULL});
	keys_tool(f, (const char *const[]){"openssl", "req",
					   "-x509",   EC,
					   "-subj",   "/CN=test",
					   "-addext", alt,
					   "-addext", "basicConstraints=critical,CA:FALSE",
					   "-CA",     k->ca,
					   "-CAkey",  ca_key,
					   "-keyout", k->key,
					   "-out",    k->cert,
					   "-days",   "2",
					   NULL});
}

#endif
