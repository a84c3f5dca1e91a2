// SPDX-License-Identifier: Apache-2.0
/*
 * The schema as a table of steps. `user_version` counts the steps done; those that are missing run in one
 * transaction, after a copy of the file was made. A step that has been released is never edited: a change is a new step.
 */
#include "store/copy.h"
#include "store/impl.h"
#include <string.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/log.h"

static const char *const steps[] = {
	/* 1: groups, chats, messages, turns, outbox, sessions, usage */
	"CREATE TABLE settings ("
	" key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"

	"CREATE TABLE groups ("
	" id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, is_main INTEGER NOT NULL DEFAULT 0,"
	" created_ms INTEGER NOT NULL, settings TEXT NOT NULL DEFAULT '{}') STRICT;"
	"CREATE UNIQUE INDEX groups_one_main ON groups(is_main) WHERE is_main = 1;"

	"CREATE TABLE chats ("
	" id INTEGER PRIMARY KEY, channel TEXT NOT NULL, platform_id TEXT NOT NULL,"
	" title TEXT NOT NULL DEFAULT '', created_ms INTEGER NOT NULL,"
	" UNIQUE (channel, platform_id)) STRICT;"

	"CREATE TABLE group_chats ("
	" chat_id INTEGER PRIMARY KEY REFERENCES chats(id),"
	" group_id INTEGER NOT NULL REFERENCES groups(id)) STRICT;"
	"CREATE INDEX group_chats_by_group ON group_chats(group_id);"

	"CREATE TABLE senders ("
	" id INTEGER PRIMARY KEY, channel TEXT NOT NULL, platform_id TEXT NOT NULL,"
	" name TEXT NOT NULL DEFAULT '', UNIQUE (channel, platform_id)) STRICT;"

	"CREATE TABLE turns ("
	" id INTEGER PRIMARY KEY, group_id INTEGER NOT NULL REFERENCES groups(id),"
	" session TEXT NOT NULL DEFAULT '', started_ms INTEGER NOT NULL, ended_ms INTEGER,"
	" error TEXT) STRICT;"
	"CREATE INDEX turns_open ON turns(id) WHERE ended_ms IS NULL;"

	"CREATE TABLE messages ("
	" id INTEGER PRIMARY KEY, chat_id INTEGER NOT NULL REFERENCES chats(id),"
	" group_id INTEGER NOT NULL REFERENCES groups(id),"
	" session TEXT NOT NULL DEFAULT '', thread TEXT NOT NULL DEFAULT '',"
	" dir INTEGER NOT NULL, state INTEGER NOT NULL, platform_id TEXT,"
	" sender_id INTEGER REFERENCES senders(id), text TEXT NOT NULL, sent_ms INTEGER NOT NULL,"
	" stored_ms INTEGER NOT NULL, notice INTEGER NOT NULL DEFAULT 0,"
	" turn_id INTEGER REFERENCES turns(id),"
	" tries INTEGER NOT NULL DEFAULT 0, UNIQUE (chat_id, dir, platform_id)) STRICT;"
	"CREATE INDEX messages_waiting ON messages(group_id, session, id) WHERE state = 1;"
	"CREATE INDEX messages_leased ON messages(turn_id) WHERE state = 2;"
	"CREATE INDEX messages_by_chat ON messages(chat_id, id);"

	"CREATE VIRTUAL TABLE messages_fts USING fts5("
	" text, content='messages', content_rowid='id', tokenize='unicode61 remove_diacritics 2');"
	/* Rows enter the index in batches (search.c); one that is not there must not be taken out. */
	"CREATE TRIGGER messages_fts_del AFTER DELETE ON messages"
	" WHEN old.id <= (SELECT max(id) FROM messages_fts_docsize) BEGIN"
	" INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.id, old.text);"
	" END;"
	"CREATE TRIGGER messages_fts_up AFTER UPDATE OF text ON messages"
	" WHEN old.id <= (SELECT max(id) FROM messages_fts_docsize) BEGIN"
	" INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.id, old.text);"
	" INSERT INTO messages_fts(rowid, text) VALUES (new.id, new.text); END;"

	"CREATE TABLE outbox ("
	" id INTEGER PRIMARY KEY, chat_id INTEGER NOT NULL REFERENCES chats(id),"
	" message_id INTEGER NOT NULL REFERENCES messages(id),"
	" turn_id INTEGER REFERENCES turns(id), kind INTEGER NOT NULL,"
	" state INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,"
	" next_ms INTEGER NOT NULL DEFAULT 0, error TEXT) STRICT;"
	"CREATE INDEX outbox_waiting ON outbox(chat_id, id) WHERE state < 2;"

	"CREATE TABLE sessions ("
	" group_id INTEGER NOT NULL REFERENCES groups(id), session TEXT NOT NULL DEFAULT '',"
	" session_id TEXT NOT NULL, started_ms INTEGER NOT NULL,"
	" PRIMARY KEY (group_id, session)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE usage ("
	" id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, turn_id INTEGER REFERENCES turns(id),"
	" group_id INTEGER NOT NULL REFERENCES groups(id), model TEXT NOT NULL,"
	" input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,"
	" cache_write INTEGER NOT NULL, status INTEGER NOT NULL) STRICT;"
	"CREATE INDEX usage_by_group ON usage(group_id, at_ms);",

	/* 2: real platforms: what is sent beside text, in parts; files; drafts; chats that belong to nobody */
	"ALTER TABLE chats ADD COLUMN direct INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE chats ADD COLUMN seen_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE chats ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE senders ADD COLUMN alt TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE outbox ADD COLUMN op INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE outbox ADD COLUMN part INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE outbox ADD COLUMN key TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE outbox ADD COLUMN body TEXT;"
	"ALTER TABLE outbox ADD COLUMN args TEXT;"
	"ALTER TABLE outbox ADD COLUMN again INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE outbox ADD COLUMN platform_id TEXT;"
	"ALTER TABLE outbox ADD COLUMN class TEXT;"
	"CREATE INDEX outbox_trouble ON outbox(id) WHERE state > 2;"
	"CREATE INDEX outbox_parts ON outbox(message_id) WHERE part > 0;"
	"CREATE TABLE drafts ("
	" chat_id INTEGER NOT NULL REFERENCES chats(id), thread TEXT NOT NULL,"
	" platform_id TEXT NOT NULL, PRIMARY KEY (chat_id, thread)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE files ("
	" id INTEGER PRIMARY KEY, message_id INTEGER NOT NULL REFERENCES messages(id) ON DELETE "
	"CASCADE,"
	" name TEXT NOT NULL, mime TEXT NOT NULL, size INTEGER NOT NULL, ref TEXT NOT NULL,"
	" voice INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL DEFAULT 0,"
	" path TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '') STRICT;"
	"CREATE INDEX files_by_message ON files(message_id);"
	"CREATE INDEX messages_fetching ON messages(chat_id, id) WHERE state = 5;"
	"CREATE INDEX messages_ours_in_threads ON messages(chat_id, thread)"
	" WHERE dir = 1 AND thread != '';",
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
	" allowed INTEGER NOT NULL) STRICT;",
	/* 4: that a linked chat lets its one person in is a fact of its own, which can be taken back */
	/* Who linked a chat of somebody unknown: whoever writes there first, alone with the assistant, becomes a member; '' = nobody does */
	"ALTER TABLE group_chats ADD COLUMN invited TEXT NOT NULL DEFAULT '';"
	/* Until now the person of a linked direct chat counted as a member: now has the role. Not who had one that was taken away. */
	"CREATE TABLE step4 AS SELECT DISTINCT m.sender_id AS sid, gc.group_id AS gid FROM group_chats gc"
	" JOIN chats c ON c.id = gc.chat_id AND c.direct = 1 AND c.channel <> 'console'"
	" JOIN messages m ON m.chat_id = c.id AND m.dir = 0 AND m.sender_id IS NOT NULL;"
	"INSERT INTO roles(person_id, group_id, role, given_by, given_ms)"
	" SELECT DISTINCT s.person_id, gid, 2, 'the upgrade', unixepoch() * 1000 FROM step4"
	" JOIN senders s ON s.id = sid WHERE EXISTS (SELECT 1 FROM roles r"
	"  WHERE r.person_id = s.person_id) AND NOT EXISTS (SELECT 1 FROM roles r"
	"  WHERE r.person_id = s.person_id AND r.group_id IN (0, gid));"
	/* Two ids of one account are one person: the first row stands for both. */
	"DELETE FROM step4 WHERE sid IN (SELECT id FROM senders WHERE person_id IS NOT NULL);"
	"UPDATE step4 SET sid = coalesce((SELECT min(t.id) FROM senders s JOIN senders t"
	"  ON t.channel = s.channel AND t.id < s.id AND (t.platform_id = s.alt"
	"  OR (t.alt <> '' AND t.alt = s.platform_id)) WHERE s.id = sid), sid);"
	"CREATE TABLE step4_people AS SELECT sid, (SELECT coalesce(max(id), 0) FROM people)"
	" + row_number() OVER (ORDER BY sid) AS pid FROM (SELECT DISTINCT sid FROM step4);"
	"INSERT INTO people(id, name, created_ms) SELECT pid, iif(s.name = '', s.platform_id, s.name),"
	" unixepoch() * 1000 FROM step4_people JOIN senders s ON s.id = sid;"
	"UPDATE senders SET person_id = (SELECT pid FROM step4_people WHERE sid = senders.id)"
	" WHERE id IN (SELECT sid FROM step4_people);"
	"UPDATE senders SET person_id = t.pid FROM (SELECT f.channel, f.platform_id, f.alt, pid"
	"  FROM step4_people JOIN senders f ON f.id = sid) t"
	" WHERE senders.person_id IS NULL AND senders.channel = t.channel"
	" AND (t.platform_id = senders.alt OR (t.alt <> '' AND t.alt = senders.platform_id));"
	"INSERT INTO roles(person_id, group_id, role, given_by, given_ms)"
	" SELECT DISTINCT pid, gid, 2, 'the upgrade', unixepoch() * 1000 FROM step4"
	" JOIN step4_people USING (sid);"
	"DROP TABLE step4; DROP TABLE step4_people;"
	"UPDATE group_chats SET invited = 'the upgrade' WHERE chat_id IN (SELECT c.id FROM chats c"
	" WHERE c.channel <> 'console' AND NOT EXISTS (SELECT 1 FROM messages m"
	"  WHERE m.chat_id = c.id AND m.dir = 0 AND m.sender_id IS NOT NULL)"
	" AND NOT EXISTS (SELECT 1 FROM senders s WHERE s.channel = c.channel"
	"  AND c.platform_id IN (s.platform_id, s.alt) AND s.person_id IS NOT NULL));"
	/* A turn goes when no message and no row of the outbox names it any more */
	"CREATE INDEX messages_by_turn ON messages(turn_id) WHERE turn_id IS NOT NULL;"
	"CREATE INDEX outbox_by_turn ON outbox(turn_id) WHERE turn_id IS NOT NULL;"
	/* Sums of usage, kept up with each call: a year is some hundred rows. day: since 1970, UTC, of a turn's first call */
	"CREATE TABLE usage_days ("
	" day INTEGER NOT NULL, group_id INTEGER NOT NULL REFERENCES groups(id),"
	" turns INTEGER NOT NULL, calls INTEGER NOT NULL, input INTEGER NOT NULL,"
	" output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,"
	" cost_micro INTEGER NOT NULL, PRIMARY KEY (day, group_id)) STRICT, WITHOUT ROWID;"
	"INSERT INTO usage_days SELECT first / 86400000, grp, count(turn), sum(n), sum(i), sum(o),"
	" sum(r), sum(w), sum(coalesce((SELECT cost_micro FROM turns WHERE id = turn), 0))"
	" FROM (SELECT turn_id AS turn, group_id AS grp, min(at_ms) AS first, count(*) AS n,"
	"  sum(input) AS i, sum(output) AS o, sum(cache_read) AS r, sum(cache_write) AS w"
	"  FROM usage GROUP BY coalesce(turn_id, -id)) GROUP BY 1, 2;"
	/* Each page that a message touches on its way in is waited for. What waits and what is leased are one small index; a turn's messages are found by
	 * messages_by_turn; whether a sender was ever heard is said of the sender. */
	"CREATE INDEX messages_open ON messages(state, group_id, session) WHERE state IN (1, 2);"
	"DROP INDEX messages_waiting; DROP INDEX messages_leased; DROP INDEX turns_open;"
	"ALTER TABLE senders ADD COLUMN heard INTEGER NOT NULL DEFAULT 0;"
	"UPDATE senders SET heard = 1 WHERE EXISTS (SELECT 1 FROM messages m WHERE m.sender_id = senders.id);"
	"DROP INDEX messages_by_sender;"
	/* The newest that a person said in a chat, of those messages that the search has; it is kept up with that (search.c) */
	"CREATE TABLE said ("
	" chat_id INTEGER PRIMARY KEY REFERENCES chats(id) ON DELETE CASCADE,"
	" message_id INTEGER NOT NULL) STRICT;"
	"INSERT INTO said SELECT chat_id, max(id) FROM messages WHERE dir = 0"
	" AND substr(platform_id, 1, 6) <> 'event:'"
	" AND id <= (SELECT coalesce(max(id), 0) FROM messages_fts_docsize) GROUP BY chat_id;"
	"DROP INDEX messages_said;",
};

#define SCHEMA_VERSION ((int)ARRAY_LEN(steps))

int store_schema(void)
{
	return SCHEMA_VERSION;
}

static int exec(struct store *st, const char *sql, struct err *e)
{
	if (sqlite3_exec(st->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return err_set(e, E_IO, "database: %s", sqlite3_errmsg(st->db));
}

static int user_version(struct store *st, int *v, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(st->db, "PRAGMA user_version", -1, &s, NULL);

	if (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		*v = sqlite3_column_int(s, 0);
	else
		rc = err_set(e, E_IO, "database: %s", sqlite3_errmsg(st->db));
	sqlite3_finalize(s);
	return rc == SQLITE_OK ? 0 : -1;
}

static int backup(struct store *st, const char *file, int version, struct err *e)
{
	_cleanup_free_ char *copy = xasprintf("%s.v%d.bak", file, version);
	_cleanup_free_ char *sql = NULL;
	char *quoted;
	mode_t old;
	int rc;

	if (unlink(copy) < 0 && access(copy, F_OK) == 0)
		return err_set(e, E_IO, "cannot replace the old backup %s", copy);
	quoted = sqlite3_mprintf("VACUUM INTO %Q", copy);
	sql = xstrdup(quoted);
	sqlite3_free(quoted);
	old = umask(077); /* it holds what the database holds */
	rc = exec(st, sql, e);
	umask(old);
	if (rc < 0)
		return err_wrap(e, "backing up before the migration");
	log_info("store", "backup before migration", "file=%s", copy);
	return 0;
}

int store_migrate(struct store *st, const char *file, struct err *e)
{
	_cleanup_(buf_free) struct buf sql = {0};
	_cleanup_free_ char *all = NULL;
	int v = 0;

	if (user_version(st, &v, e) < 0)
		return -1;
	if (v > SCHEMA_VERSION)
		return err_set(e, E_INVAL,
			       "%s has schema %d, this program knows up to %d: install the newer "
			       "version again, or restore a backup",
			       file, v, SCHEMA_VERSION);
	if (v > 0 && v < SCHEMA_VERSION && backup(st, file, v, e) < 0)
		return -1;
	for (; v < SCHEMA_VERSION; v++)
		buf_puts(&sql, steps[v]);
	if (!sql.len)
		return 0;
	/* All or none: what cannot be upgraded stays what its own program knows. */
	all = xasprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT;", sql.p, v);
	if (exec(st, all, e) < 0) {
		sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
		return err_wrap(e, "migrating %s to schema %d", file, v);
	}
	return 0;
}
