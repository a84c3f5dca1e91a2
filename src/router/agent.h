// SPDX-License-Identifier: Apache-2.0
/*
 * The agent's language: Claude Code's stream-json lines, both ways. Pure: bytes in, facts out. What comes in was written inside a sandbox,
 * so everything in it is a claim, not a fact: ids are only ever matched against what we handed in.
 */
#ifndef CHELA_ROUTER_AGENT_H
#define CHELA_ROUTER_AGENT_H
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/json.h"

#define AGENT_LINE_MAX ((size_t)8 << 20)

enum agent_event_kind {
	AGENT_OTHER,	 /* nothing that we act on */
	AGENT_TEXT,	 /* a piece of the answer: text */
	AGENT_TOOL,	 /* a tool is used: text says it in words */
	AGENT_RETRY,	 /* the model API is tried again: text says why */
	AGENT_RESULT,	 /* a turn of the agent is over */
	AGENT_STARTED,	 /* a line is in the turn that runs now, whose result will cover it: uuid */
	AGENT_CANCELLED, /* a line was cancelled, or its turn was: uuid */
	AGENT_COMPLETED, /* a line is done with (before or after the result that covers it): uuid */
	AGENT_COMPACTED, /* the agent has summed up its conversation: tokens before, text: "manual" or "auto" */
	AGENT_CONTROL, /* an answer to a control request: request_id, uuids = still queued */
};

struct agent_event {
	enum agent_event_kind kind;
	cJSON *root; /* owner of all the strings below */
	const char *text;
	const char *session_id; /* NULL when absent or no UUID */
	const char *uuid;
	int64_t cost_micro; /* AGENT_RESULT: by its own reckoning, since it was started, in millionths of a US dollar; -1 = not told */
	const char *request_id;
	const cJSON *uuids;   /* array of strings or NULL */
	int64_t tokens;	      /* AGENT_COMPACTED */
	bool is_error;	      /* AGENT_RESULT */
	bool aborted;	      /* AGENT_RESULT: by an interrupt */
	bool unknown_session; /* AGENT_RESULT: --resume named a session that is not there */
	char words[160];      /* holds text for AGENT_TOOL and AGENT_RETRY */
};

/* Parses one line (no newline). E_PROTO for what is no JSON object; unknown types are AGENT_OTHER. Pair with agent_event_free. */
int agent_parse(const char *line, size_t n, struct agent_event *ev, struct err *e) must_check;
void agent_event_free(struct agent_event *ev);

/* Lines towards the agent, newline included. uuid must be fresh for each hand-in: the agent swallows one that it knows. */
int agent_user_line(struct buf *out, const char *uuid, const char *text, size_t n,
		    struct err *e) must_check;
void agent_control_line(struct buf *out, const char *request_id, const char *subtype,
			const char *message_uuid);

/* The same for text that streams: what may be shown now. Zeroed = begin; the rest of an unfinished tag is held back. */
struct partial {
	bool inside;
	size_t matched; /* characters of the tag looked for that have been seen */
};
void partial_feed(struct partial *p, const char *text, struct buf *out);

/* Removes each <internal>...</internal> part (an unclosed one reaches to the end) and white space around; in place; returns the new length. */
size_t agent_strip_internal(char *text);

#endif
