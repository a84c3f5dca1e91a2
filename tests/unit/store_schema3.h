// SPDX-License-Identifier: Apache-2.0
/* What version 3 added to version 2 (store_schema2.h), word for word. It never follows the code. */
#ifndef CHELA_TESTS_STORE_SCHEMA3_H
#define CHELA_TESTS_STORE_SCHEMA3_H

static const char schema3[] =
	/* 3: people and roles, approvals, tasks and their runs, skills, grants; what retention and export need */
	"CREATE TABLE people ("
	" id INTEGER PRIMARY KEY, name TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;"
	"ALTER TABLE senders ADD COLUMN person_id INTEGER REFERENCES people(id);"
	"CREATE INDEX senders_by_person ON senders(person_id) WHERE person_id IS NOT NULL;"
	"CREATE INDEX senders_by_alt ON senders(channel, alt) WHERE alt <> '';"
	/* messages of this sender that were not taken, and when the last one was */
	"ALTER TABLE senders ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE senders ADD COLUMN seen_ms INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX messages_by_sender ON messages(sender_id) WHERE sender_id IS NOT NULL;"
	"CREATE INDEX senders_refused ON senders(seen_ms) WHERE refused > 0 AND person_id IS NULL;"
	/* group_id 0: everywhere */
	"CREATE TABLE roles ("
	" person_id INTEGER NOT NULL REFERENCES people(id) ON DELETE CASCADE,"
	" group_id INTEGER NOT NULL, role INTEGER NOT NULL, given_by TEXT NOT NULL,"
	" given_ms INTEGER NOT NULL, PRIMARY KEY (person_id, group_id)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE approvals ("
	" id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, chat_id INTEGER NOT NULL REFERENCES chats(id),"
	" sender_id INTEGER NOT NULL REFERENCES senders(id), payload TEXT NOT NULL, hash TEXT NOT NULL,"
	" state INTEGER NOT NULL DEFAULT 0, told INTEGER NOT NULL DEFAULT 0,"
	" asked_ms INTEGER NOT NULL, decided_ms INTEGER, decided_by TEXT) STRICT;"
	"CREATE UNIQUE INDEX approvals_open ON approvals(kind, chat_id, sender_id) WHERE state = 0;"
	"CREATE TABLE held ("
	" id INTEGER PRIMARY KEY,"
	" approval_id INTEGER NOT NULL REFERENCES approvals(id) ON DELETE CASCADE,"
	" platform_id TEXT NOT NULL, inbound TEXT NOT NULL, held_ms INTEGER NOT NULL,"
	" UNIQUE (approval_id, platform_id)) STRICT;"
	"CREATE INDEX approvals_by_chat ON approvals(chat_id);"

	/* chat_id, thread: where a task speaks. sender_id: who caused it. next_ms: the slot; due_ms: the slot with its jitter */
	"CREATE TABLE tasks ("
	" id INTEGER PRIMARY KEY, group_id INTEGER NOT NULL REFERENCES groups(id),"
	" chat_id INTEGER NOT NULL REFERENCES chats(id), thread TEXT NOT NULL DEFAULT '',"
	" sender_id INTEGER REFERENCES senders(id), name TEXT NOT NULL, prompt TEXT NOT NULL,"
	" gate TEXT NOT NULL DEFAULT '', spec TEXT NOT NULL, zone TEXT NOT NULL,"
	" anchor_ms INTEGER NOT NULL, context INTEGER NOT NULL DEFAULT 0,"
	" catch_up INTEGER NOT NULL DEFAULT 1, overlap INTEGER NOT NULL DEFAULT 0,"
	" max_ms INTEGER NOT NULL DEFAULT 0, jitter_ms INTEGER NOT NULL DEFAULT 0,"
	" retries INTEGER NOT NULL DEFAULT 0, fail_max INTEGER NOT NULL DEFAULT 3,"
	" failures INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL DEFAULT 0,"
	" why TEXT NOT NULL DEFAULT '', next_ms INTEGER, due_ms INTEGER,"
	" created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX tasks_by_name ON tasks(group_id, name) WHERE state < 2;"
	"CREATE INDEX tasks_due ON tasks(due_ms) WHERE state = 0 AND due_ms IS NOT NULL;"
	"CREATE INDEX tasks_due_by_group ON tasks(group_id, due_ms)"
	" WHERE state = 0 AND due_ms IS NOT NULL;"
	/* group_id, isolated: the task's, when the run was made */
	"CREATE TABLE task_runs ("
	" id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,"
	" group_id INTEGER NOT NULL, isolated INTEGER NOT NULL, slot_ms INTEGER NOT NULL,"
	" manual INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,"
	" state INTEGER NOT NULL DEFAULT 0, next_ms INTEGER NOT NULL DEFAULT 0,"
	" made_ms INTEGER NOT NULL, started_ms INTEGER, ended_ms INTEGER,"
	" message_id INTEGER REFERENCES messages(id) ON DELETE SET NULL,"
	" turn_id INTEGER, input INTEGER NOT NULL DEFAULT 0, output INTEGER NOT NULL DEFAULT 0,"
	" cache_read INTEGER NOT NULL DEFAULT 0, cache_write INTEGER NOT NULL DEFAULT 0,"
	" cost_micro INTEGER NOT NULL DEFAULT 0, text TEXT NOT NULL DEFAULT '',"
	" error TEXT NOT NULL DEFAULT '', UNIQUE (task_id, slot_ms)) STRICT;"
	"CREATE INDEX task_runs_open ON task_runs(task_id) WHERE state < 3;"
	"CREATE INDEX task_runs_waiting ON task_runs(group_id, isolated, id) WHERE state = 0;"
	"CREATE INDEX task_runs_again ON task_runs(next_ms) WHERE state = 0 AND next_ms > 0;"
	"CREATE INDEX task_runs_going ON task_runs(group_id, isolated) WHERE state IN (1, 2);"
	"CREATE INDEX task_runs_by_message ON task_runs(message_id) WHERE message_id IS NOT NULL;"
	"ALTER TABLE messages ADD COLUMN task_run_id INTEGER;"
	"ALTER TABLE turns ADD COLUMN cost_micro INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX usage_by_turn ON usage(turn_id) WHERE turn_id IS NOT NULL;"
	/* A message goes only when no row of the outbox names it */
	"CREATE INDEX outbox_by_message ON outbox(message_id);"
	/* The newest that a person said in a chat, however much was said to it since */
	"CREATE INDEX messages_said ON messages(chat_id, id)"
	" WHERE dir = 0 AND substr(platform_id, 1, 6) <> 'event:';"

	/* Who deletes a message asks for what refers to it */
	"ALTER TABLE groups ADD COLUMN removed_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE groups ADD COLUMN archived_id INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE groups ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;"
	/* What goes before the first message of a new session: the summary of the old one */
	"CREATE TABLE carry ("
	" group_id INTEGER NOT NULL REFERENCES groups(id), session TEXT NOT NULL, text TEXT NOT NULL,"
	" PRIMARY KEY (group_id, session)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE group_skills ("
	" group_id INTEGER NOT NULL REFERENCES groups(id), skill TEXT NOT NULL, hash TEXT NOT NULL,"
	" enabled_by TEXT NOT NULL, enabled_ms INTEGER NOT NULL,"
	" PRIMARY KEY (group_id, skill)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE skill_uses ("
	" group_id INTEGER NOT NULL REFERENCES groups(id), skill TEXT NOT NULL, hash TEXT NOT NULL,"
	" first_ms INTEGER NOT NULL, PRIMARY KEY (group_id, skill, hash)) STRICT, WITHOUT ROWID;"
	/* group_id may do this to target_id */
	"CREATE TABLE grants ("
	" group_id INTEGER NOT NULL REFERENCES groups(id), act TEXT NOT NULL,"
	" target_id INTEGER NOT NULL REFERENCES groups(id), given_by TEXT NOT NULL,"
	" given_ms INTEGER NOT NULL, PRIMARY KEY (group_id, act, target_id)) STRICT, WITHOUT ROWID;"
	/* Each command and each privileged tool call, with who caused it and how it was decided */
	"CREATE TABLE acts ("
	" id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL,"
	" sender_id INTEGER, group_id INTEGER NOT NULL, via TEXT NOT NULL, act TEXT NOT NULL,"
	" allowed INTEGER NOT NULL) STRICT;";

#endif
