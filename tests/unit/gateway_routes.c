// SPDX-License-Identifier: Apache-2.0
/* What a sandbox may ask the gateway for: the routes, what is refused, and that it is told. */
#include "gateway_rig.h"
#include "base/redact.h"

/* With a key, but no upstream: nothing here may get that far. */
static void begin(struct rig *r, struct secret *key, void **state)
{
	struct err e = ERR_INIT;

	assert_ok(secret_set(key, "test_key", "sk-test-key-0123456789", &e), &e);
	rig_start(r, *state, (struct gateway_opts){.base_url = "http://127.0.0.1:1", .key = key});
	assert_false(gateway_is_demo(r->g));
}

static void too_large(void **state)
{
	struct rig r;
	struct secret key;

	begin(&r, &key, state);
	mem_gives(&r.m, "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
			"Content-Length: 33554433\r\n\r\n");
	assert_true(str_starts(rig_out(&r), "HTTP/1.1 413 "));
	assert_non_null(strstr(rig_out(&r), "request_too_large"));
	rig_stop(&r);
	secret_free(&key);
	assert_int_equal(r.usages, 0);
}

static void routes(void **state)
{
	static const struct {
		const char *line;
		int status;
		const char *refused; /* NULL = not told */
	} t[] = {
		{"HEAD /", 200, NULL},
		{"GET /", 405, "GET /: method or query not allowed"},
		{"GET /v1/messages", 405, "GET /v1/messages: method or query not allowed"},
		{"POST /v1/messages?x=%2e", 405, "POST /v1/messages: method or query not allowed"},
		{"POST /v1/messages/batches", 404, "POST /v1/messages/batches: no such route"},
		{"POST /v1/messages/", 404, "POST /v1/messages/: no such route"},
		{"POST //v1/messages", 404, "POST //v1/messages: no such route"},
		{"POST /v1/../v1/messages", 404, "POST /v1/../v1/messages: no such route"},
		{"POST /V1/messages", 404, "POST /V1/messages: no such route"},
		{"DELETE /v1/files/x", 404, "DELETE /v1/files/x: no such route"},
		{"POST /v1/models", 405, "POST /v1/models: method or query not allowed"},
		{"GET /api/hello", 404, "GET /api/hello: no such route"},
		{"GET http://example.com/", 403, "GET http://example.com/: no way out"},
		{"CONNECT example.com:443", 403, "CONNECT example.com:443: no way out"},
	};
	struct rig r;
	struct secret key;
	char want[32];

	begin(&r, &key, state);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		r.refusals = 0;
		rig_ask(&r, t[i].line, "", "");
		snprintf(want, sizeof(want), "HTTP/1.1 %d ", t[i].status);
		if (!str_starts(rig_out(&r), want))
			fail_msg("%s gave %s", t[i].line, rig_out(&r));
		assert_int_equal(r.refusals, t[i].refused ? 1 : 0);
		if (t[i].refused && !str_starts(r.refused, t[i].refused))
			fail_msg("%s was told as %s", t[i].line, r.refused);
		if (t[i].status == 404)
			assert_non_null(strstr(rig_out(&r),
					       "{\"type\":\"error\",\"error\":{\"type\":"
					       "\"not_found_error\",\"message\":"));
		rig_again(&r);
	}
	rig_stop(&r);
	secret_free(&key);
	assert_int_equal(r.usages, 0);
}

/* The tools answer at /mcp always; the demo model at /v1/... only while there is no key. */
static void services(void **state)
{
	static const struct {
		const char *line, *with_key, *without;
	} t[] = {
		{"POST /mcp", "the tools", "the tools"},
		{"GET /mcp", "the tools", "the tools"},
		{"DELETE /mcp", "the tools", "the tools"},
		{"PUT /mcp", "405", "405"},
		{"POST /mcp/", "404", "404"},
		{"POST /v1/messages?beta=true", NULL, "the demo model"},
		{"POST /v1/messages/count_tokens", NULL, "the demo model"},
		{"GET /v1/models", NULL, "the demo model"},
		{"GET /v1/messages", "405", "405"},
		{"POST /v1/complete", "404", "404"},
		{"HEAD /", "200", "200"},
	};

	for (int keyed = 0; keyed < 2; keyed++) {
		struct secret key = {0};
		struct rig r;

		if (keyed)
			begin(&r, &key, state);
		else
			rig_start(&r, *state, (struct gateway_opts){0});
		assert_int_equal(gateway_is_demo(r.g), !keyed);
		for (size_t i = 0; i < ARRAY_LEN(t); i++) {
			const char *want = keyed ? t[i].with_key : t[i].without;

			if (!want)
				continue; /* goes to the API: gateway_model.c */
			rig_ask(&r, t[i].line, "", "");
			if (!strstr(rig_out(&r), want))
				fail_msg("%s gave %s", t[i].line, rig_out(&r));
			rig_again(&r);
		}
		rig_stop(&r);
		secret_free(&key);
	}
}

/* A drop ends the connections of that peer and no other, and the service hears of it. */
static void drop_one_peer(void **state)
{
	struct rig r;
	struct mem other;
	int peer;

	rig_start(&r, *state, (struct gateway_opts){0});
	mem_init(&other);
	gateway_serve(r.g, &other.d, &peer);
	rig_ask(&r, "POST /mcp?wait", "", "");
	mem_gives(&other, "GET /v1/models?wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_int_equal(stand_in_gone, 0);
	gateway_drop(r.g, &r);
	assert_true(r.m.reset);
	assert_false(other.reset);
	assert_int_equal(stand_in_gone, 1);
	gateway_drop(r.g, &peer);
	assert_true(other.reset);
	assert_int_equal(stand_in_gone, 2);
	mem_close(&other);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {FIX_TEST(too_large), FIX_TEST(routes),
					   FIX_TEST(services), FIX_TEST(drop_one_peer)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
