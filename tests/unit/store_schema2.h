// SPDX-License-Identifier: Apache-2.0
/* The schema as version 2 made it, word for word: what an upgrade finds. It never follows the code. */
#ifndef CHELA_TESTS_STORE_SCHEMA2_H
#define CHELA_TESTS_STORE_SCHEMA2_H

static const char schema2[] =
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
	"CREATE INDEX usage_by_group ON usage(group_id, at_ms);"

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
	" WHERE dir = 1 AND thread != '';";

#endif
