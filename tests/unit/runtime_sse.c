// SPDX-License-Identifier: Apache-2.0
/* Token counts out of a passing stream: torn at each byte, every line ending, and nonsense. */
#include "unit.h"
#include "base/str.h"
#include "runtime/sse.h"

#define EVENTS(nl)                                                                                 \
	"event: message_start" nl                                                                  \
	"data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{"        \
	"\"input_tokens\":10,\"cache_read_input_tokens\":7,\"cache_creation_input_tokens\":3,"     \
	"\"output_tokens\":1}}}" nl nl ": a comment" nl "event: content_block_delta" nl            \
	"data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"\\\"usage\\\" 0123456789 "  \
	"0123456789 0123456789 0123456789 0123456789\"}}" nl nl "event: message_delta" nl          \
	"data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":42}}" nl nl                \
	"event: message_stop" nl "data: {\"type\":\"message_stop\"}" nl nl

static void check(const struct usage *u)
{
	assert_string_equal(u->model, "claude-x");
	assert_int_equal(u->input_tokens, 10);
	assert_int_equal(u->cache_read_tokens, 7);
	assert_int_equal(u->cache_write_tokens, 3);
	assert_int_equal(u->output_tokens, 42);
}

static void feed(const char *text, size_t cut)
{
	struct usage u = {0};
	struct sse s;

	sse_init(&s, &u, false);
	if (cut == SIZE_MAX) {
		for (const char *p = text; *p; p++)
			sse_feed(&s, (const uint8_t *)p, 1);
	} else {
		sse_feed(&s, (const uint8_t *)text, cut);
		sse_feed(&s, (const uint8_t *)text + cut, strlen(text) - cut);
	}
	sse_end(&s);
	check(&u);
}

static void torn(void **state maybe_unused)
{
	static const char *const texts[] = {EVENTS("\n"), EVENTS("\r\n"), EVENTS("\r")};

	for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
		for (size_t cut = 0; cut <= strlen(texts[t]); cut++)
			feed(texts[t], cut);
		feed(texts[t], SIZE_MAX);
	}
}

static void nonsense(void **state maybe_unused)
{
	static const char *const texts[] = {
		"event: message_start\ndata: {not json\n\n",
		"event: message_start\ndata: [1]\n\n",
		"event: message_start\ndata: {\"type\":\"message_start\",\"message\":7}\n\n",
		"event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":\"x\"}\n\n",
		"event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":-1.5}}\n\n",
		"data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n",
		"\xff\xfe\n\n\n\r\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct usage u = {0}, none = {0};
		struct sse s;
		sse_init(&s, &u, false);
		sse_feed(&s, (const uint8_t *)texts[i], strlen(texts[i]));
		sse_end(&s);
		assert_memory_equal(&u, &none, sizeof(u));
	}
}

/* A line that is too long is skipped, and what follows is read; memory stays bounded. */
static void long_line(void **state maybe_unused)
{
	static const char end[] = "\n\n" EVENTS("\n");
	static uint8_t fill[1000];
	struct usage u = {0};
	struct sse s;

	memset(fill, 'x', sizeof(fill));
	sse_init(&s, &u, false);
	sse_feed(&s, (const uint8_t *)"event: message_start\ndata: ", 27);
	for (int i = 0; i < 10000; i++) {
		sse_feed(&s, fill, sizeof(fill));
		assert_true(s.line.cap <= 2 * SSE_LINE_MAX);
	}
	sse_feed(&s, (const uint8_t *)end, strlen(end));
	sse_end(&s);
	check(&u);
}

static void whole_json(void **state maybe_unused)
{
	static const char text[] =
		"{\"model\":\"claude-x\",\"content\":[{\"type\":\"tool_use\",\"input\":"
		"{\"usage\":{\"input_tokens\":99}}}],\"usage\":{\"input_tokens\":10,"
		"\"cache_read_input_tokens\":7,\"cache_creation_input_tokens\":3,"
		"\"output_tokens\":42}}";
	static uint8_t fill[4096];
	struct usage u = {0};
	struct sse s;

	sse_init(&s, &u, true);
	for (const char *p = text; *p; p++)
		sse_feed(&s, (const uint8_t *)p, 1);
	sse_end(&s);
	check(&u);

	u = (struct usage){0};
	memset(fill, ' ', sizeof(fill));
	sse_init(&s, &u, true);
	sse_feed(&s, (const uint8_t *)text, strlen(text));
	for (int i = 0; i < 1000; i++)
		sse_feed(&s, fill, sizeof(fill));
	assert_true(s.line.cap <= 2 * SSE_JSON_MAX);
	sse_end(&s);
	assert_int_equal(u.output_tokens, 0); /* too long to be read: counted as nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(torn),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(long_line),
		cmocka_unit_test(whole_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
