// SPDX-License-Identifier: Apache-2.0
/* The head of a SKILL.md: any bytes give a skill or a refusal in words, and what it asks for are words that can stand in a line of ours. */
#include "fuzz.h"
#include "base/str.h"
#include "router/skill.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = ERR_INIT;
	struct skill s;
	char word[SKILL_NEEDS_CAP];
	const char *list = s.needs;

	if (skill_parse((const char *)data, n, "welcome", &s, &e) < 0) {
		fuzz_check(e.code == E_INVAL && str_is_utf8(e.msg, strlen(e.msg)));
		fuzz_check(!strpbrk(e.msg, "\r\n"));
		return 0;
	}
	fuzz_check(streq(s.name, "welcome") && s.description[0]);
	fuzz_check(str_is_utf8(s.description, strlen(s.description)));
	fuzz_check(!strpbrk(s.description, "\r\n"));
	while (str_next_word(&list, word, sizeof(word)))
		fuzz_check(streq(word, "main") || str_starts(word, "network:") ||
			   str_starts(word, "tool:"));
	return 0;
}
