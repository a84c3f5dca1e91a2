// SPDX-License-Identifier: Apache-2.0
/*
 * The pair between server and warden, with an engine that is not there: hostile asks, floods, and
 * the end of the warden itself.
 */
#include "warden_world.h"

static void engine_away(void **state)
{
	struct world *w = *state;

	snprintf(w->cfg.engine_socket, sizeof(w->cfg.engine_socket), "%.64s/none.sock",
		 w->cfg.home);
	begin(w);
	start(w, "kin");
	await(w, &w->n_failed, 1);
	assert_error_is(&w->why, E_TEMP, "systemctl start docker");
	warden_ask_status(w->warden);
	await(w, &w->n_status, 1);
	assert_false(w->status.engine_up);
	assert_non_null(strstr(w->status.engine, "systemctl start docker"));
	/* Still there, still answering. */
	start(w, "kin");
	await(w, &w->n_failed, 2);
	assert_int_equal(w->n_lost, 0);
	end(w, 0);
}

static struct wire_tell raw_answer(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct wire_tell t;

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(recv(fd, &t, sizeof(t), 0), (int)sizeof(t));
	return t;
}

/* What a server that was taken over might send. */
static void hostile_asks(void **state)
{
	struct world *w = *state;
	struct wire_ask bad = {.op = ASK_START, .id = 9}, stop = {.op = ASK_STOP, .id = 77};
	struct wire_ask odd = {.op = 4242, .id = 1}, ask = {.op = ASK_STATUS};
	struct err e = ERR_INIT;
	struct wire_tell t;
	char junk[4096];
	int status;

	snprintf(w->cfg.engine_socket, sizeof(w->cfg.engine_socket), "%.64s/none.sock",
		 w->cfg.home);
	w->pid = warden_fork(&w->cfg, &w->fd, &e);
	assert_true(w->pid > 0);
	memset(junk, 0xff, sizeof(junk));
	assert_int_equal(send(w->fd, junk, 1, 0), 1);
	assert_int_equal(send(w->fd, junk, sizeof(struct wire_ask) - 1, 0),
			 sizeof(struct wire_ask) - 1);
	assert_int_equal(send(w->fd, junk, sizeof(junk), 0), sizeof(junk));
	assert_int_equal(send(w->fd, &odd, sizeof(odd), 0), sizeof(odd));
	assert_int_equal(send(w->fd, &stop, sizeof(stop), 0), sizeof(stop));
	memset(bad.group, 'a', sizeof(bad.group));
	assert_int_equal(send(w->fd, &bad, sizeof(bad), 0), sizeof(bad));
	t = raw_answer(w->fd);
	assert_int_equal(t.op, TELL_FAILED);
	assert_int_equal(t.id, 9);
	assert_int_equal(t.how, E_INVAL);
	assert_int_equal(send(w->fd, &ask, sizeof(ask), 0), sizeof(ask));
	t = raw_answer(w->fd);
	assert_int_equal(t.op, TELL_STATUS);
	close(w->fd);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(status, 0);
}

/* A server that asks and never reads is not buffered without end, and loses nothing when it reads. */
static void flood_is_bounded(void **state)
{
	struct world *w = *state;
	struct wire_ask bad = {.op = ASK_START}, ask = {.op = ASK_STATUS};
	struct err e = ERR_INIT;
	struct pollfd p;
	int status, sent = 0, got = 0;

	snprintf(w->cfg.engine_socket, sizeof(w->cfg.engine_socket), "%.64s/none.sock",
		 w->cfg.home);
	log_set_level(LOG_ERROR);
	w->pid = warden_fork(&w->cfg, &w->fd, &e);
	assert_true(w->pid > 0);
	p = (struct pollfd){.fd = w->fd, .events = POLLOUT};
	assert_int_equal(send(w->fd, &ask, sizeof(ask), 0), sizeof(ask));
	assert_int_equal(raw_answer(w->fd).op, TELL_STATUS); /* it is awake */
	/* Until the warden has stopped reading: its own queue and both socket buffers are full. */
	for (bad.id = 1; sent < 100000 && poll(&p, 1, 1000) == 1; bad.id++)
		sent += send(w->fd, &bad, sizeof(bad), MSG_DONTWAIT) > 0;
	assert_true(sent > 100 && sent < 100000);
	p.events = POLLIN;
	while (got < sent && poll(&p, 1, 10000) == 1) {
		assert_int_equal(raw_answer(w->fd).op, TELL_FAILED);
		got++;
	}
	log_set_level(LOG_WARN);
	assert_int_equal(got, sent);
	close(w->fd);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(status, 0);
}

static void warden_killed_is_lost(void **state)
{
	struct world *w = *state;
	struct sandbox_request r = {.group = "kin"};
	struct err e = ERR_INIT;

	snprintf(w->cfg.engine_socket, sizeof(w->cfg.engine_socket), "%.64s/none.sock",
		 w->cfg.home);
	begin(w);
	kill(w->pid, SIGKILL);
	await(w, &w->n_lost, 1);
	assert_int_equal(w->why.code, E_GONE);
	str_uuid4(r.session_id);
	assert_int_equal(warden_start(w->warden, &r, &e), 0);
	assert_error_is(&e, E_GONE, "restart the server");
	end(w, SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(engine_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hostile_asks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(flood_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(warden_killed_is_lost, set_up, tear_down),
	};

	log_init(&(struct log_opts){.fd = 2, .level = LOG_WARN});
	return cmocka_run_group_tests_name("warden_pair", tests, NULL, NULL);
}
