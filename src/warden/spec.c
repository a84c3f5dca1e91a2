// SPDX-License-Identifier: Apache-2.0
/*
 * The one function that says what a sandbox is: request and policy in, the engine's create body out. Pure,
 * so that a golden test holds every word of it. Nothing here comes from the server but a group's
 * name, a session id and a model's name, all checked before.
 */
#include <stdio.h>
#include "base/json.h"
#include "base/str.h"
#include "warden/sandbox.h"

#define PAGE 4096

const char *spec_kind_word(enum sandbox_kind k)
{
	static const char *const words[] = {"group", "task", "tool"};

	return words[k];
}

int64_t spec_memory(const struct sandbox_policy *p)
{
	return p->memory_bytes / PAGE * PAGE;
}

static void add_list(cJSON *o, const char *key, const char *const *words)
{
	cJSON *a = cJSON_AddArrayToObject(o, key);

	for (; *words; words++)
		cJSON_AddItemToArray(a, cJSON_CreateString(*words));
}

static void add_command(cJSON *o, const struct spec *s)
{
	cJSON *cmd = cJSON_AddArrayToObject(o, "Cmd");
	char uid[16];
	const char *const runner[] = {"--uid", uid,	"--runner-uid", "10002", "--port",
				      "2435",  "--cwd", "/workspace",	"--",	 NULL};
	struct agent_cmd agent;

	snprintf(uid, sizeof(uid), "%u", (unsigned)s->agent_uid);
	agent_cmd(s->req, s->model_retries, &agent);
	for (size_t i = 0; runner[i]; i++)
		cJSON_AddItemToArray(cmd, cJSON_CreateString(runner[i]));
	for (size_t i = 0; agent.argv[i]; i++)
		cJSON_AddItemToArray(cmd, cJSON_CreateString(agent.argv[i]));
	add_list(o, "Env", agent.env);
}

static void add_mount(cJSON *list, const char *source, const char *target, bool ro)
{
	cJSON *m = cJSON_CreateObject(), *b;

	/* Type bind through Mounts, not Binds: a source that is missing is an error, never created by
	 * the engine as root. NonRecursive: what is mounted below on the host stays out. The API has no
	 * nosuid and nodev for binds; no-new-privileges and the missing CAP_MKNOD do their work. */
	cJSON_AddStringToObject(m, "Type", "bind");
	cJSON_AddStringToObject(m, "Source", source);
	cJSON_AddStringToObject(m, "Target", target);
	cJSON_AddBoolToObject(m, "ReadOnly", ro);
	b = cJSON_AddObjectToObject(m, "BindOptions");
	cJSON_AddStringToObject(b, "Propagation", "rprivate");
	cJSON_AddBoolToObject(b, "NonRecursive", true);
	cJSON_AddItemToArray(list, m);
}

static void add_ulimit(cJSON *list, const char *name, int value)
{
	cJSON *u = cJSON_CreateObject();

	cJSON_AddStringToObject(u, "Name", name);
	cJSON_AddNumberToObject(u, "Soft", value);
	cJSON_AddNumberToObject(u, "Hard", value);
	cJSON_AddItemToArray(list, u);
}

static void add_limits(cJSON *h, const struct spec *s)
{
	double memory = (double)spec_memory(s->policy);
	cJSON *u;

	cJSON_AddNumberToObject(h, "PidsLimit", (double)s->policy->pids);
	cJSON_AddNumberToObject(h, "Memory", memory);
	cJSON_AddNumberToObject(h, "MemorySwap", memory); /* memory + swap: so no swap */
	cJSON_AddNumberToObject(h, "NanoCpus", (double)(int64_t)(s->policy->cpus * 1e9));
	cJSON_AddNumberToObject(h, "OomScoreAdj",
				500); /* if the host runs out, the sandbox goes first */
	u = cJSON_AddArrayToObject(h, "Ulimits");
	add_ulimit(u, "core", 0);
	add_ulimit(u, "nofile", 8192);
	add_ulimit(u, "msgqueue", 0); /* or /dev/mqueue could be written to */
}

static cJSON *host_config(const struct spec *s)
{
	static const char *const all[] = {"ALL", NULL}, *const two[] = {"SETUID", "SETGID", NULL};
	static const char *const nobody[] = {"127.0.0.1", NULL}, *const dot[] = {".", NULL};
	/* The engine's own list, which ours replaces, and what else nobody inside needs. */
	static const char *const masked[] = {"/proc/acpi",
					     "/proc/asound",
					     "/proc/interrupts",
					     "/proc/kcore",
					     "/proc/keys",
					     "/proc/latency_stats",
					     "/proc/sched_debug",
					     "/proc/scsi",
					     "/proc/timer_list",
					     "/proc/timer_stats",
					     "/sys/devices/virtual/powercap",
					     "/sys/firmware",
					     "/dev/mqueue",
					     NULL};
	cJSON *h = cJSON_CreateObject(), *o;
	char text[96];

	cJSON_AddStringToObject(h, "Runtime", s->policy->runtime);
	cJSON_AddBoolToObject(h, "Privileged", false);
	cJSON_AddBoolToObject(h, "ReadonlyRootfs", true);
	add_list(h, "CapDrop", all);
	add_list(h, "CapAdd", two); /* the runner gives them up before the agent starts */
	o = cJSON_AddArrayToObject(h, "SecurityOpt");
	cJSON_AddItemToArray(o, cJSON_CreateString("no-new-privileges"));
	if (s->seccomp) {
		char *opt = xasprintf("seccomp=%s", s->seccomp);

		cJSON_AddItemToArray(o, cJSON_CreateString(opt));
		free(opt);
	}
	add_list(h, "MaskedPaths", masked);
	cJSON_AddStringToObject(h, "NetworkMode", "none");
	add_list(h, "Dns", nobody); /* or the host's resolver and domain would be told inside */
	add_list(h, "DnsSearch", dot);
	cJSON_AddStringToObject(h, "IpcMode", "none");
	cJSON_AddStringToObject(h, "CgroupnsMode", "private");
	cJSON_AddBoolToObject(h, "Init", false);
	cJSON_AddBoolToObject(h, "AutoRemove", false); /* we look at it once it has ended */
	cJSON_AddStringToObject(cJSON_AddObjectToObject(h, "LogConfig"), "Type", "none");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(h, "RestartPolicy"), "Name", "no");
	snprintf(text, sizeof(text), "rw,noexec,nosuid,nodev,size=%lld,mode=1777",
		 (long long)s->policy->tmp_bytes);
	cJSON_AddStringToObject(cJSON_AddObjectToObject(h, "Tmpfs"), "/tmp", text);
	o = cJSON_AddArrayToObject(h, "Mounts");
	add_mount(o, s->mounts->workspace, "/workspace", false);
	add_mount(o, s->mounts->session, "/session", false);
	add_mount(o, s->mounts->global, "/global", true);
	add_limits(h, s);
	return h;
}

char *spec_json(const struct spec *s)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	cJSON *o;

	cJSON_AddStringToObject(j, "Image", s->image);
	cJSON_AddStringToObject(j, "User", "0:0");
	cJSON_AddStringToObject(j, "Hostname", "sandbox");
	o = cJSON_AddArrayToObject(j, "Entrypoint");
	cJSON_AddItemToArray(o, cJSON_CreateString("/usr/local/bin/runner"));
	add_command(j, s);
	cJSON_AddBoolToObject(j, "Tty", false);
	cJSON_AddBoolToObject(j, "OpenStdin", true);
	cJSON_AddBoolToObject(j, "StdinOnce",
			      true); /* the end of the attach is the end of the sandbox */
	cJSON_AddBoolToObject(j, "AttachStdin", true);
	cJSON_AddBoolToObject(j, "AttachStdout", true);
	cJSON_AddBoolToObject(j, "AttachStderr", true);
	o = cJSON_AddObjectToObject(j, "Labels");
	cJSON_AddStringToObject(o, "chela.instance", s->instance);
	cJSON_AddStringToObject(o, "chela.run", s->run);
	cJSON_AddStringToObject(o, "chela.group", s->req->group);
	cJSON_AddStringToObject(o, "chela.kind", spec_kind_word(s->req->kind));
	cJSON_AddItemToObject(j, "HostConfig", host_config(s));
	return json_print(j);
}
