// SPDX-License-Identifier: Apache-2.0
/*
 * A gate: the task's script in a disposable sandbox without an agent; the last line of what it says, a JSON object, decides whether the model is woken. Everything
 * that comes from there is a stranger's: capped, checked, and shown as one line.
 */
#include <string.h>
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "router/schedule.h"

#define SAID_MAX   ((size_t)256 << 10)
#define LAST_WORDS 250 /* ms for standard error, which comes by another road than the end */

struct gate {
	int64_t run_id;
	bool over;
	struct buf out;
	char last[160];	  /* the last line of its standard error */
	char failed[160]; /* how it ended; its last words may still be on their way */
};

void gate_begin(struct router *r, const struct group_row *g, int64_t run_id)
{
	struct session *s;
	char key[65];

	snprintf(key, sizeof(key), GATE_KEY "%lld", (long long)run_id);
	s = session_get(r, g, key);
	gate_free(s); /* of an earlier try, whose sandbox is still ending */
	s->gate = xcalloc(1, sizeof(*s->gate));
	s->gate->run_id = run_id;
	s->gate->out.max = SAID_MAX;
	session_wake(s);
}

bool gate_waits(const struct session *s)
{
	return s->gate && !s->gate->over;
}

void gate_free(struct session *s)
{
	if (!s->gate)
		return;
	buf_free(&s->gate->out);
	free(s->gate);
	s->gate = NULL;
}

/* Decided: its sandbox goes, wherever it is. */
static void close_gate(struct session *s)
{
	s->gate->over = true;
	if (s->state == SESSION_STARTING || s->state == SESSION_READY) {
		session_stop_sandbox(s);
	} else if (s->state == SESSION_WAITING) {
		queue_remove(s);
		timer_stop(s->retry);
		session_set_state(s, SESSION_IDLE);
	}
}

void gate_fail(struct session *s, const char *why)
{
	char words[340];

	if (!gate_waits(s))
		return;
	if (s->gate->failed[0])
		snprintf(words, sizeof(words), "its gate: %s%s%s", s->gate->failed,
			 s->gate->last[0] ? ": " : "", s->gate->last);
	else
		snprintf(words, sizeof(words), "its gate: %.200s", why);
	close_gate(s);
	run_over(s->r, s->gate->run_id, 0, RUN_FAILED, "", words);
}

void gate_interrupt(struct session *s, const char *words)
{
	close_gate(s);
	run_over(s->r, s->gate->run_id, 0, RUN_STOPPED, "", words);
}

void gate_stop(struct router *r, int64_t group_id, int64_t run_id)
{
	struct session *s;
	char key[65];

	snprintf(key, sizeof(key), GATE_KEY "%lld", (long long)run_id);
	s = session_find(r, group_id, key);
	if (s && gate_waits(s))
		close_gate(s);
}

/* --- the script --------------------------------------------------------------------------- */

struct script {
	char name[65];
	char *text;
	int64_t task_id;
};

static void take_script(void *ctx, const struct task_row *t)
{
	struct script *x = ctx;

	str_copy(x->name, sizeof(x->name), t->name);
	x->text = xstrdup(t->gate);
	x->task_id = t->id;
}

static void take_task_id(void *ctx, const struct run_row *r)
{
	((struct script *)ctx)->task_id = r->task_id;
}

void gate_ready(struct session *s)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct script x = {.text = NULL};
	struct store *st = s->r->store;
	struct err e = ERR_INIT;
	int64_t last_ok = 0;

	if (store_run_get(st, s->gate->run_id, take_task_id, &x, &e) < 0 ||
	    store_task_get(st, x.task_id, take_script, &x, &e) < 0 ||
	    store_run_last_ok(st, x.task_id, &last_ok, &e) < 0) {
		gate_fail(s, e.msg);
		return;
	}
	buf_putf(&b, "export CHELA_TASK=%s CHELA_RUN=%lld CHELA_LAST_OK_MS=%lld\n%s\n", x.name,
		 (long long)s->gate->run_id, (long long)last_ok, x.text);
	free(x.text);
	timer_stop(s->idle);
	timer_start(s->limit, GATE_LIMIT_MS, 0);
	if (duplex_write(s->agent, b.p, b.len, &e) < 0)
		gate_fail(s, e.msg);
	else
		duplex_finish(s->agent);
}

void gate_data(struct session *s, const uint8_t *p, size_t n)
{
	struct err e = ERR_INIT;

	if (gate_waits(s) && buf_add(&s->gate->out, p, n, &e) < 0)
		gate_fail(s, "it said more than 256 KiB");
	if (s->agent)
		duplex_consumed(s->agent, n);
}

void gate_log(struct session *s, const char *line)
{
	static const char agent[] = "agent: "; /* what PID 1 says of itself is for the log */

	if (!str_starts(line, agent))
		return;
	str_one_line(s->gate->last, sizeof(s->gate->last), line + sizeof(agent) - 1);
	if (s->gate->failed[0])
		gate_fail(s, "");
}

bool gate_exited(const struct session *s)
{
	return s->gate && s->gate->failed[0];
}

void gate_limit(struct session *s)
{
	gate_fail(s, "it took longer than " GATE_LIMIT_WORDS);
}

/* --- the decision ------------------------------------------------------------------------- */

/* The last line that is not blank, cut out of the buffer. */
static const char *last_line(struct buf *b)
{
	char *end, *start;

	if (!b->len)
		return "";
	end = b->p + b->len;
	while (end > b->p && (unsigned char)end[-1] <= ' ')
		end--;
	*end = '\0';
	start = end;
	while (start > b->p && start[-1] != '\n')
		start--;
	return start;
}

/* "...: WORDS", the last thing that it said. */
static void fail_with(struct session *s, const char *what, const char *line)
{
	char said[100];

	snprintf(s->gate->failed, sizeof(s->gate->failed), "%s", what);
	if (!s->gate->last[0] && line[0])
		str_copy(s->gate->last, sizeof(s->gate->last),
			 str_one_line(said, sizeof(said), line));
	if (s->gate->last[0])
		gate_fail(s, "");
	else
		timer_start(s->limit, LAST_WORDS, 0);
}

static void decide(struct session *s, const char *line)
{
	_cleanup_json_ cJSON *j = NULL;
	_cleanup_free_ char *data = NULL;
	const cJSON *wake, *v;
	struct err e = ERR_INIT;
	int64_t run_id = s->gate->run_id;

	j = json_parse(line, strlen(line), SAID_MAX, &e);
	wake = j ? cJSON_GetObjectItemCaseSensitive(j, "wake") : NULL;
	if (!cJSON_IsBool(wake)) {
		fail_with(
			s,
			"its last line is no JSON object with \"wake\", such as {\"wake\": false}",
			line);
		return;
	}
	v = cJSON_GetObjectItemCaseSensitive(j, "data");
	data = v ? json_print(v) : xstrdup("");
	if (strlen(data) > GATE_DATA_MAX) {
		gate_fail(s, "its data has more than 16 KiB");
		return;
	}
	close_gate(s);
	if (cJSON_IsTrue(wake))
		run_woken(s->r, run_id, data);
	else
		run_over(s->r, run_id, 0, RUN_ASLEEP, data, "");
}

void gate_exit(struct session *s, int code, int signo)
{
	const char *line;
	char what[60];

	if (!gate_waits(s))
		return;
	line = last_line(&s->gate->out);
	if (signo)
		snprintf(what, sizeof(what), "it was ended by signal %d", signo);
	else
		snprintf(what, sizeof(what), "it ended with code %d", code);
	if (signo || code)
		fail_with(s, what, "");
	else
		decide(s, line);
}
