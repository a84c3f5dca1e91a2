// SPDX-License-Identifier: Apache-2.0
/*
 * How the agent is called: its arguments and environment, in this one place. There is no secret
 * in it: the agent gets a placeholder for a key, and the gateway behind the door puts in the real one.
 */
#include <string.h>
#include "base/str.h"
#include "warden/sandbox.h"

#define DOOR_URL "http://127.0.0.1:2435"

static const char *const agent_env[] = {
	"PATH=/usr/local/bin:/usr/bin:/bin",
	"LANG=C.UTF-8",
	"HOME=/session",
	"SHELL=/bin/bash",
	"USER=agent",
	"TMPDIR=/tmp",
	"CLAUDE_CONFIG_DIR=/session",
	"ANTHROPIC_BASE_URL=" DOOR_URL,
	"ANTHROPIC_API_KEY=held-by-the-door",
	"HTTP_PROXY=" DOOR_URL,
	"HTTPS_PROXY=" DOOR_URL,
	"http_proxy=" DOOR_URL,
	"https_proxy=" DOOR_URL,
	"NO_PROXY=127.0.0.1,localhost",
	"no_proxy=127.0.0.1,localhost",
	"DISABLE_AUTOUPDATER=1",
	"DISABLE_TELEMETRY=1",
	"DISABLE_ERROR_REPORTING=1",
	"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
	"CLAUDE_CODE_DISABLE_CRON=1", /* our scheduler replaces it */
	"ENABLE_TOOL_SEARCH=0",	      /* our tools are always in sight */
	NULL,
};

_Static_assert(ARRAY_LEN(agent_env) < AGENT_ENV_MAX, "no room for the retries");

static const char *const agent_args[] = {
	"claude",
	"-p",
	"--input-format",
	"stream-json",
	"--output-format",
	"stream-json",
	"--verbose",
	"--include-partial-messages",
	"--replay-user-messages",
	/* The sandbox is the permission system: there is nobody inside to ask. */
	"--dangerously-skip-permissions",
	"--tools",
	"Bash,Edit,Read,Write,Task,Skill,TaskStop",
	"--strict-mcp-config",
	"--mcp-config",
	/* The timeout (ms) is above the longest that a tool of ours takes, a question to a person; unless told, it is one minute. */
	"{\"mcpServers\":{\"chela\":{\"type\":\"http\",\"timeout\":3660000,\"url\":\"" DOOR_URL
	"/mcp\"}}}",
	/* Given here and not as a file: the session's folder belongs to the agent. */
	"--settings",
	"{\"cleanupPeriodDays\":36500,\"includeCoAuthoredBy\":false,"
	"\"attribution\":{\"commit\":\"\",\"pr\":\"\"}}",
	NULL,
};

void agent_cmd(const struct sandbox_request *r, int64_t model_retries, struct agent_cmd *out)
{
	static const char *const tool_args[] = {"bash", "-s", NULL};
	const char *const *args = r->kind == SANDBOX_TOOL ? tool_args : agent_args;
	size_t n = 0;

	memset(out, 0, sizeof(*out));
	for (; args[n]; n++)
		out->argv[n] = args[n];
	if (r->kind != SANDBOX_TOOL) {
		out->argv[n++] = r->resume ? "--resume" : "--session-id";
		out->argv[n++] = r->session_id;
		if (r->model[0]) {
			out->argv[n++] = "--model";
			out->argv[n++] = r->model;
		}
		if (r->skills[0]) { /* it looks for .claude/skills there */
			out->argv[n++] = "--add-dir";
			out->argv[n++] = "/skills";
		}
	}
	for (n = 0; agent_env[n]; n++)
		out->env[n] = agent_env[n];
	snprintf(out->retries, sizeof(out->retries), "CLAUDE_CODE_MAX_RETRIES=%lld",
		 (long long)model_retries);
	out->env[n] = out->retries;
}
