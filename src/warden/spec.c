// SPDX-License-Identifier: Apache-2.0
/*
 * The one function that says what a sandbox is: request and policy in, the engine's create body out. Pure,
 * so that a golden test holds every word of it. Nothing here comes from the server but a group's
 * name, a session id and a model's name, all checked before.
 */
#include <stdio.h>
#include <string.h>
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

/* gVisor dies as a whole where it gets no thread, and takes about ten of the host for each one inside. */
int64_t spec_pids(const struct sandbox_policy *p)
{
	return str_starts(p->runtime, "runsc") ? 10 * p->pids + 256 : p->pids;
}

/* The whole body; what is empty or 0 here is filled in below. */
#define ULIMIT(name, n) "{'Name':'" name "','Soft':" n ",'Hard':" n "}"

/* clang-format off */
static const char body[] = /* with ' for " */
	"{'Image':'','User':'0:0','Hostname':'sandbox','Entrypoint':['/usr/local/bin/runner'],"
	"'Cmd':['--uid','','--runner-uid','10002','--port','2435','--cwd','/workspace','--'],"
	"'Env':[],'Tty':false,'OpenStdin':true,"
	"'StdinOnce':true," /* the end of the attach is the end of the sandbox */
	"'AttachStdin':true,'AttachStdout':true,'AttachStderr':true,'Labels':{},"
	"'HostConfig':{'Runtime':'','Privileged':false,'ReadonlyRootfs':true,'CapDrop':['ALL'],"
	"'CapAdd':['SETUID','SETGID']," /* the runner gives them up before the agent starts */
	"'SecurityOpt':['no-new-privileges'],"
	/* the engine's own list, which ours replaces, and what else nobody inside needs */
	"'MaskedPaths':['/proc/acpi','/proc/asound','/proc/interrupts','/proc/kcore','/proc/keys',"
	"'/proc/latency_stats','/proc/sched_debug','/proc/scsi','/proc/timer_list',"
	"'/proc/timer_stats','/sys/devices/virtual/powercap','/sys/firmware','/dev/mqueue'],"
	"'NetworkMode':'none',"
	"'Dns':['127.0.0.1'],'DnsSearch':['.']," /* or the host's would be told inside */
	"'IpcMode':'none','CgroupnsMode':'private','Init':false,"
	"'AutoRemove':false," /* we look at it once it has ended */
	"'LogConfig':{'Type':'none'},'RestartPolicy':{'Name':'no'},'Tmpfs':{'/tmp':''},"
	"'Mounts':[],"
	"'PidsLimit':0,'Memory':0,'MemorySwap':0,'NanoCpus':0,"
	"'OomScoreAdj':500," /* if the host runs out, the sandbox goes first */
	/* msgqueue: or /dev/mqueue could be written to */
	"'Ulimits':[" ULIMIT("core", "0") "," ULIMIT("nofile", "8192") "," ULIMIT("msgqueue", "0") "]}}";
/* clang-format on */

static cJSON *at(cJSON *j, const char *path)
{
	const cJSON *v = json_find(j, path);

	if (!v)
		die("a member is missing in the sandbox's body");
	return (cJSON *)(uintptr_t)v;
}

static void set_str(cJSON *j, const char *path, const char *value)
{
	if (!cJSON_SetValuestring(at(j, path), value))
		die("a member of the sandbox's body is no string");
}

static void add_str(cJSON *list, const char *value)
{
	cJSON_AddItemToArray(list, cJSON_CreateString(value));
}

static cJSON *parse_body(void)
{
	struct err e = ERR_INIT;
	char text[sizeof(body)];
	cJSON *j;

	for (size_t i = 0; i < sizeof(body); i++)
		text[i] = body[i] == '\'' ? '"' : body[i];
	j = json_parse(text, strlen(text), sizeof(text), &e);
	if (!j)
		die("the sandbox's body is no JSON");
	return j;
}

/* gVisor takes our profile (runsc --oci-seccomp) but answers EPERM where we say ENOSYS, and callers of
 * clone3 do not fall back on that: there the last rule lets the call through to gVisor's own "no". */
static char *seccomp_option(const struct spec *s)
{
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = NULL;
	_cleanup_free_ char *text = NULL;
	cJSON *rules;

	if (!str_starts(s->policy->runtime, "runsc"))
		return xasprintf("seccomp=%s", s->seccomp);
	j = json_parse(s->seccomp, strlen(s->seccomp), JSON_MAX_DEFAULT, &e);
	if (!j)
		die("the seccomp profile is no JSON");
	rules = at(j, "syscalls");
	set_str(cJSON_GetArrayItem(rules, cJSON_GetArraySize(rules) - 1), "action",
		"SCMP_ACT_ALLOW");
	text = json_print(j);
	return xasprintf("seccomp=%s", text);
}

/* Of type bind and not Binds: a source that is missing is an error, never created by the engine as
 * root. NonRecursive: what is mounted below on the host stays out. The API has no nosuid and nodev for
 * binds; no-new-privileges and the missing CAP_MKNOD do their work. */
static void add_mount(cJSON *list, const struct mount *m)
{
	cJSON *j = cJSON_CreateObject(), *options;

	cJSON_AddStringToObject(j, "Type", "bind");
	cJSON_AddStringToObject(j, "Source", m->source);
	cJSON_AddStringToObject(j, "Target", m->target);
	cJSON_AddBoolToObject(j, "ReadOnly", !m->writable);
	options = cJSON_AddObjectToObject(j, "BindOptions");
	cJSON_AddStringToObject(options, "Propagation", "rprivate");
	cJSON_AddBoolToObject(options, "NonRecursive", true);
	cJSON_AddItemToArray(list, j);
}

static void set_host(cJSON *h, const struct spec *s)
{
	double memory = (double)spec_memory(s->policy);
	char text[96];

	set_str(h, "Runtime", s->policy->runtime);
	if (s->seccomp) {
		_cleanup_free_ char *opt = seccomp_option(s);

		add_str(at(h, "SecurityOpt"), opt);
	}
	snprintf(text, sizeof(text), "rw,noexec,nosuid,nodev,size=%lld,mode=1777",
		 (long long)s->policy->tmp_bytes);
	set_str(h, "Tmpfs./tmp", text);
	for (size_t i = 0; i < s->mounts->n; i++)
		add_mount(at(h, "Mounts"), &s->mounts->list[i]);
	cJSON_SetNumberValue(at(h, "PidsLimit"), (double)spec_pids(s->policy));
	cJSON_SetNumberValue(at(h, "Memory"), memory);
	cJSON_SetNumberValue(at(h, "MemorySwap"), memory); /* memory + swap: so no swap */
	cJSON_SetNumberValue(at(h, "NanoCpus"), (double)(int64_t)(s->policy->cpus * 1e9));
}

char *spec_json(const struct spec *s)
{
	_cleanup_json_ cJSON *j = parse_body();
	cJSON *labels = at(j, "Labels");
	struct agent_cmd agent;
	char uid[16];

	set_str(j, "Image", s->image);
	snprintf(uid, sizeof(uid), "%u", (unsigned)s->agent_uid);
	set_str(j, "Cmd.1", uid);
	agent_cmd(s->req, s->model_retries, &agent);
	for (size_t i = 0; agent.argv[i]; i++)
		add_str(at(j, "Cmd"), agent.argv[i]);
	for (size_t i = 0; agent.env[i]; i++)
		add_str(at(j, "Env"), agent.env[i]);
	cJSON_AddStringToObject(labels, "chela.instance", s->instance);
	cJSON_AddStringToObject(labels, "chela.run", s->run);
	cJSON_AddStringToObject(labels, "chela.group", s->req->group);
	cJSON_AddStringToObject(labels, "chela.kind", spec_kind_word(s->req->kind));
	set_host(at(j, "HostConfig"), s);
	return json_print(j);
}
