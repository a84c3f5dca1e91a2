// SPDX-License-Identifier: Apache-2.0
/*
 * Restart storms and a great many tasks at once. A storm: servers that are killed between any two steps, again and again, while time passes in leaps; whatever
 * happens, each slot is one row or is counted in one, and each run that is over was over once. What is not committed when a server is killed is lost, as on a disk.
 */
#include "router_schedule_rig.h"

static uint32_t seed;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* Nothing of the turn of the loop that runs now becomes durable, and nobody says goodbye. */
static void kill_house(struct house *h)
{
	store_break(h->st, "killed");
	house_stop(h);
	store_close(h->st);
	house_open_store(h);
	h->fatals = 0;
	h->fatal_code = E_NONE;
}

/* The agents answer some of what they have been asked: well, badly, or by dying. */
static void work(struct house *h, int (*done)[MAX_BOXES])
{
	for (int i = 0; i < h->n_boxes; i++) {
		struct box *b = h->boxes[i];

		for (int k = (*done)[i]; k < b->n_lines && !b->ended; k++) {
			if (rnd(3) == 0)
				break;
			(*done)[i]++;
			if (b->lines[k].control[0])
				continue;
			lifecycle(b, b->lines[k].uuid, "started");
			result(b, "done", rnd(8) == 0);
			lifecycle(b, b->lines[k].uuid, "completed");
			if (rnd(12) == 0)
				agent_dies(b, "gone");
		}
	}
}

static const char *const storm_tasks[][2] = {
	{"g1", "name=a|prompt=p|schedule=every 1m|catch_up=skip|overlap=skip"},
	{"g1", "name=b|prompt=p|schedule=every 3m|catch_up=latest|overlap=queue|max_failures=0"},
	{"g1",
	 "name=c|prompt=p|schedule=cron */5 * * * *|catch_up=all(100)|overlap=queue|retries=1|max_failures=0"},
	{"g2",
	 "name=d|prompt=p|schedule=every 1m|jitter=40s|catch_up=all(3)|overlap=queue|max_failures=0"},
	{"g2",
	 "name=e|prompt=p|schedule=cron 7 * * * *|zone=America/New_York|overlap=skip|max_failures=0"},
	{"g3", "name=f|prompt=p|schedule=every 2m|max_failures=0"},
};

struct told {
	struct house *h;
	int64_t id, group_id, next_ms, anchor_ms, catch_up;
	char spec[64], zone[64];
	bool queue;
};
static struct told told[ARRAY_LEN(storm_tasks)];
static size_t n_told;

static void note(void *ctx, const struct task_row *t)
{
	struct told *x = &told[n_told++];

	x->h = ctx;
	x->id = t->id;
	x->next_ms = t->next_ms;
	x->anchor_ms = t->anchor_ms;
	x->catch_up = t->catch_up;
	x->queue = t->queue;
	str_copy(x->spec, sizeof(x->spec), t->spec);
	str_copy(x->zone, sizeof(x->zone), t->zone);
}

struct account {
	const struct told *t;
	int64_t rows, missed, skipped;
	const struct slots *s;
};

static void count_run(void *ctx, const struct run_row *r)
{
	struct account *a = ctx;
	int64_t slot;

	/* Its slot is one. */
	assert_true(slots_next(a->s, r->slot_ms - 1, &slot));
	assert_int_equal(slot, r->slot_ms);
	if (r->state == RUN_MISSED)
		a->missed += strtoll(r->text, NULL, 10);
	else
		a->rows++;
	/* But for one that came while as many waited as may. */
	a->skipped += r->state == RUN_SKIPPED && !str_starts(r->text, "as many") &&
		      !str_starts(r->error, "as many");
}

/* Slots from the first to the next one that is to come: each is a row, or counted in the row of those that were missed. */
static void check_task(struct house *h, const struct told *t, struct account *sum)
{
	struct err e = ERR_INIT;
	struct slots *s = slots_parse(t->spec, t->zone, t->anchor_ms, &e);
	struct account a = {.t = t, .s = s};
	int64_t slot = T0, n = 0;

	assert_non_null(s);
	while (slots_next(s, slot, &slot) && slot < t->next_ms)
		n++;
	assert_ok(store_run_each(h->st, 0, t->id, 1000000, count_run, &a, &e), &e);
	assert_int_equal(a.rows + a.missed, n);
	if (t->queue)
		assert_int_equal(a.skipped, 0);
	if (t->catch_up == 100)
		assert_int_equal(a.missed, 0);
	sum->rows += a.rows;
	sum->missed += a.missed;
	sum->skipped += a.skipped;
	slots_free(s);
}

static void one_life(struct house *h)
{
	int done[MAX_BOXES] = {0}, steps = (int)rnd(12);

	for (int i = 0; i < steps && h->n_boxes < MAX_BOXES - 4; i++) {
		rig_clock.fixed_ms += (int64_t)rnd(40) * 1000;
		schedule_kick(h->router);
		rounds(h, (int)rnd(4) + 1);
		work(h, &done);
	}
	/* Half of the deaths are in the middle of a turn of the loop that has written something. */
	rig_clock.fixed_ms += (int64_t)rnd(3) * 1000;
	schedule_kick(h->router);
	kill_house(h);
	/* Mostly short, sometimes an hour. */
	rig_clock.fixed_ms += rnd(6) ? (int64_t)rnd(90) * 1000 : HOUR;
	if (rnd(10) == 0)
		rig_clock.fixed_ms -= 5 * MINUTE; /* a clock that goes wrong */
	house_start(h);
}

static void no_further_slots(struct house *h)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(h->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE tasks SET state = 1", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
}

/* In peace all that waits is done. */
static void settle_all(struct house *h)
{
	kill_house(h);
	no_further_slots(h);
	house_start(h);
	for (int i = 0; i < 2000 && look(h, "SELECT count(*) FROM task_runs WHERE state < 3");
	     i++) {
		int done[MAX_BOXES] = {0};

		rig_clock.fixed_ms += 40000; /* retries */
		for (int k = 0; k < 12 && h->n_boxes < MAX_BOXES - 4; k++) {
			schedule_kick(h->router);
			rounds(h, 2);
			work(h, &done);
		}
		kill_house(h);
		house_start(h);
	}
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE state < 3"), 0);
}

static void no_storm_runs_a_slot_twice_or_loses_one(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct account sum = {.rows = 0};
	const int kills = under_valgrind() ? 40 : 150;
	int devnull = open("/dev/null", O_WRONLY | O_CLOEXEC);

	log_init(&(struct log_opts){.fd = devnull, .level = LOG_ERROR}); /* the killed complain */
	seed = 20261121;
	h->cfg.max_live = 2;
	house_start(h);
	for (size_t i = 0; i < ARRAY_LEN(storm_tasks); i++)
		task(h, storm_tasks[i][0], storm_tasks[i][1]);
	look(h, "SELECT 1"); /* they are durable */
	for (int life = 0; life < kills; life++)
		one_life(h);
	settle_all(h);
	log_init(&(struct log_opts){.fd = 2, .level = LOG_ERROR});
	close(devnull);
	assert_ok(store_task_each(h->st, 0, true, note, h, &e), &e);
	assert_int_equal(n_told, ARRAY_LEN(storm_tasks));
	for (size_t i = 0; i < n_told; i++)
		check_task(h, &told[i], &sum);
	/* One message of each try, and each is settled; what went well was answered. */
	assert_int_equal(look(h, "SELECT count(*) FROM messages WHERE task_run_id IS NOT NULL AND "
				 "state NOT IN (3, 4)"),
			 0);
	assert_int_equal(
		look(h, "SELECT count(*) FROM task_runs r WHERE r.state = 3 AND 1 <> (SELECT "
			"count(*) FROM messages m WHERE m.task_run_id = r.id AND m.state = 3)"),
		0);
	assert_int_equal(look(h,
			      "SELECT count(*) FROM task_runs r WHERE r.state IN (6, 7) AND EXISTS "
			      "(SELECT 1 FROM messages m WHERE m.task_run_id = r.id)"),
			 0);
	assert_true(sum.rows > 2 * kills && sum.missed > kills / 3 && sum.skipped > kills / 30);
	print_message("%d kills: %lld runs, %lld slots missed, %lld skipped\n", kills,
		      (long long)sum.rows, (long long)sum.missed, (long long)sum.skipped);
}

/* --- ten thousand in one minute ----------------------------------------------------------- */

#define GROUPS 50

static void fill(struct house *h, int each)
{
	struct err e = ERR_INIT;

	for (int g = 0; g < GROUPS; g++) {
		char name[20];
		struct chat_row c;
		struct task_row t = {.thread = "",
				     .prompt = "p",
				     .gate = "",
				     .why = "",
				     .spec = "cron 0 9 * * *",
				     .zone = "Europe/Berlin",
				     .catch_up = 1,
				     .fail_max = 3};

		snprintf(name, sizeof(name), "g%d", g);
		t.group_id = make_group(h, name);
		assert_ok(store_chat_find(h->st, "console", name, &c, &e), &e);
		t.chat_id = c.id;
		for (int i = 0; i < each; i++) {
			char task_name[20];
			int64_t id = 0;

			snprintf(task_name, sizeof(task_name), "t%d", i);
			t.name = task_name;
			t.next_ms = t.due_ms = T0;
			t.context = i % 4 ? TASK_IN_GROUP : TASK_ISOLATED;
			assert_ok(store_task_put(h->st, &t, &id, &e), &e);
		}
	}
	assert_ok(store_commit(h->st, &e), &e);
}

static void ten_thousand_due_at_once_are_claimed_fairly(void **state)
{
	struct house *h = *state;
	struct timer *t;
	struct pulse p = {h, 0};
	const int each = under_valgrind() ? 40 : 200, all = GROUPS * each;
	int64_t claims = 0, steps = 0, began;
	const char *what = "";
	int64_t longest;

	h->silent = true; /* no sandbox comes: what begins stays begun */
	h->cfg.max_live = 8;
	rig_clock.fixed_ms = T0 - HOUR;
	house_start(h);
	fill(h, each);
	rounds(h, 3);
	rig_clock.fixed_ms = T0;
	loop_longest_us(h->l, &what);
	began = clock_mono(&clock_system);
	schedule_kick(h->router);
	t = timer_new(h->l, "pulse", pulse_once, &p);
	timer_start(t, 1, 1);
	while (claims < all) {
		await_at_least(h, &p.n, p.n + 1);
		schedule_counts(h->router, &claims, &steps);
	}
	longest = loop_longest_us(h->l, &what);
	print_message("%d tasks: claimed in %lld ms, %lld steps; longest call-back %lld us (%s)\n",
		      all, (long long)(clock_mono(&clock_system) - began) / 1000, (long long)steps,
		      (long long)longest, what);
	rounds(h, 5);
	timer_free(t);
	/* None lost, none double. */
	assert_int_equal(claims, all);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs"), all);
	assert_int_equal(look(h, "SELECT count(DISTINCT task_id) FROM task_runs"), all);
	assert_int_equal(look(h, "SELECT count(*) FROM tasks WHERE due_ms <= 1795420800000"), 0);
	/* In steps that leave the loop to others. */
	assert_true(steps >= all / 100);
	/* Round the groups: among each 50 claims in a row there is one of each. */
	assert_int_equal(look(h, "SELECT max(n) FROM (SELECT count(*) AS n FROM task_runs GROUP BY "
				 "(id - 1) / 50, group_id)"),
			 1);
	/* Each group has begun one of its own, before any group's second; isolated ones as many as there are places. */
	assert_int_equal(look(h,
			      "SELECT count(DISTINCT group_id) FROM task_runs WHERE state = 2 AND "
			      "isolated = 0"),
			 GROUPS);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE state = 2 AND isolated = 0"),
			 GROUPS);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE state = 2 AND isolated = 1"),
			 8);
	assert_int_equal(look(h,
			      "SELECT max(n) FROM (SELECT count(*) AS n FROM task_runs WHERE state "
			      "= 2 AND isolated = 1 GROUP BY group_id)") <= 2,
			 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, schedule_setup, house_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_storm_runs_a_slot_twice_or_loses_one),
		TEST(ten_thousand_due_at_once_are_claimed_fairly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
