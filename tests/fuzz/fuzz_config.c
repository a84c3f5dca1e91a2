// SPDX-License-Identifier: Apache-2.0
/* Fuzzes the readers of chela.yaml and of policy files: whatever is accepted is within bounds. */
#include <string.h>
#include "fuzz.h"
#include "base/str.h"
#include "policy/policy_impl.h"

static void check_config(const struct config *c)
{
	struct err e = ERR_INIT;

	fuzz_check(c->assistant[0]);
	fuzz_check(config_check_base_url(c->model_base_url, &e) == 0);
	fuzz_check(!c->model_key_file[0] || !c->model_oauth_file[0]);
	fuzz_check(!c->model_key_file[0] || c->model_key_file[0] == '/');
	fuzz_check(c->engine_socket[0] == '/' && c->image_lock[0] == '/');
	fuzz_check(model_name_ok(c->model_name));
	fuzz_check(c->max_live >= 1 && c->max_live <= 256 && c->tries >= 1 && c->turn_ms >= 1000);
}

static void check_policy(const struct sandbox_policy *p, bool narrow)
{
	const struct sandbox_policy *b = &policy_builtin;

	fuzz_check(p->runtime[0] && !strpbrk(p->runtime, "/ \"\n"));
	fuzz_check(p->memory_bytes >= 64 << 20 && p->pids >= 16 && p->cpus >= 0.05 &&
		   p->tmp_bytes > 0);
	if (narrow)
		fuzz_check(p->memory_bytes <= b->memory_bytes && p->pids <= b->pids &&
			   p->cpus <= b->cpus && p->tmp_bytes <= b->tmp_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	for (int mode = 0; mode < 3; mode++) {
		struct err e = ERR_INIT;
		_cleanup_yaml_ struct yaml *y = yaml_parse((const char *)data, n, "fuzz.yaml", &e);
		struct config c = {.home = "/home/x"};
		struct sandbox_policy p = {.pids = 0};
		int r;

		if (!y)
			return 0;
		if (mode == 0)
			r = config_read(&c, y, &e);
		else
			r = policy_read(y, &policy_builtin, mode == 2, &p, &e);
		if (r < 0)
			fuzz_check(e.code == E_INVAL && !strncmp(e.msg, "fuzz.yaml:", 10));
		else if (mode == 0)
			check_config(&c);
		else
			check_policy(&p, mode == 2);
	}
	return 0;
}
