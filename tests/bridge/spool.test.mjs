// SPDX-License-Identifier: Apache-2.0
// Events are kept until they are acknowledged, whatever dies in between.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ANN, BRIDGE, rig } from './rig.mjs';

const { Journal } = await import(path.join(BRIDGE, 'journal.mjs'));
const { Spool } = await import(path.join(BRIDGE, 'spool.mjs'));
const say = (wa, text, id) =>
	wa.message({ message: { conversation: text }, ...(id && { key: { id } }) });

test('what was not acknowledged comes again, in order and with its number; what was does not', async (t) => {
	const r = await rig(t);
	let c = await r.join();
	const ids = [say(r.wa, 'a'), say(r.wa, 'b'), say(r.wa, 'c')];
	for (let i = 0; i < 3; i++) {
		const f = await c.event('message');
		assert.deepEqual([f.seq, f.event.id], [i + 1, ids[i]]);
	}
	c.ack(2);
	assert.equal((await c.ask('ping')).acked, 2);
	c.end();
	c = await r.join();
	assert.deepEqual([c.welcome.seq, c.welcome.acked], [3, 2]);
	assert.equal((await c.event('message')).seq, 3);
	say(r.wa, 'd'); // once it is on disk, so is the ack before it
	ids.push((await c.event('message')).event.id);
	await r.bridge.kill(); // -9
	await r.again();
	const session = c.welcome.session;
	c = await r.join();
	assert.deepEqual([c.welcome.seq, c.welcome.acked, c.welcome.session], [4, 2, session]);
	assert.deepEqual((await c.event('message')).event.id, ids[2]);
	assert.deepEqual((await c.event('message')).event.id, ids[3]);
	c.ack(4);
	say(r.wa, 'e');
	assert.equal((await c.event('message')).seq, 5);
	assert.equal((await c.ask('ping')).acked, 4);
});

test('not more than the window is under way', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	for (let i = 0; i < 300; i++) say(r.wa, `n${i}`);
	for (let i = 1; i <= 256; i++) assert.equal((await c.event('message')).seq, i);
	while ((await c.ask('ping')).seq < 300); // all are on disk
	assert.equal(c.inbox.items.filter((f) => f.seq).length, 0);
	c.ack(256);
	for (let i = 257; i <= 300; i++) assert.equal((await c.event('message')).seq, i);
});

test('kill -9 in a stream of messages: a number never names another event, and what was seen comes again', async (t) => {
	const r = await rig(t);
	const seen = new Map();
	let acked = 0;
	for (let round = 0; round < 6; round++) {
		const c = await r.join();
		assert.ok(c.welcome.acked <= acked, 'acknowledged by nobody'); // an ack may be lost, never invented
		assert.ok(
			c.welcome.seq >= Math.max(0, ...seen.keys()),
			'an event that was sent is not on disk',
		);
		for (let i = 0; i < 200; i++) say(r.wa, 'x', `R${round}N${i}`);
		for (let i = 0; i < 40 + round * 17; i++) {
			const f = await c.event('message');
			assert.equal(seen.get(f.seq) ?? f.event.id, f.event.id);
			seen.set(f.seq, f.event.id);
			if (round % 2) {
				acked = f.seq;
				c.ack(f.seq);
			}
		}
		await c.ask('ping');
		await r.bridge.kill();
		await r.again();
	}
	assert.equal(new Set(seen.values()).size, seen.size);
});

test('a full spool leaves WhatsApp and comes back when it is half empty', async (t) => {
	const r = await rig(t, { env: { CHELA_WA_SPOOL: '10' } });
	const c = await r.join();
	for (let i = 0; i < 10; i++) say(r.wa, `n${i}`);
	await c.state('paused');
	assert.equal((await c.ask('send', { to: ANN.pn, text: 'x' })).error.code, 'offline');
	c.ack(10);
	await c.state('connecting');
	await r.wa.sockets.take();
	r.wa.up();
	await c.state('up');
});

test('the journal: torn ends, unreadable lines, rewriting under load, a disk that refuses', async (t) => {
	const dir = fs.mkdtempSync('/tmp/chela-wa-j-');
	t.after(() => fs.rmSync(dir, { recursive: true }));
	const file = path.join(dir, 'j');
	const load = (j) => {
		const got = [];
		j.load((o) => got.push(o));
		return got;
	};
	fs.writeFileSync(file, '{"a":1}\n{nonsense\n{"a":2}\n{"a":');
	let j = new Journal(file);
	assert.deepEqual(load(j), [{ a: 1 }, { a: 2 }]);
	await Promise.all([j.append({ a: 3 }), j.rewrite(() => [{ a: 'new' }]), j.append({ a: 4 })]);
	assert.deepEqual(load(new Journal(file)), [{ a: 'new' }, { a: 4 }]);
	// every byte at which a crash may cut
	const whole = fs.readFileSync(file);
	for (let n = 0; n <= whole.length; n++) {
		fs.writeFileSync(file, whole.subarray(0, n));
		j = new Journal(file);
		const before = load(j).length;
		await j.append({ a: 5 });
		assert.equal(load(new Journal(file)).length, before + 1);
	}
	const full = new Journal('/dev/full');
	full.fd = fs.openSync('/dev/full', 'r+');
	await assert.rejects(full.append({ a: 1 }), { code: 'ENOSPC' });
	const trouble = [];
	const patient = new Journal(path.join(dir, 'p'), {
		retry: true,
		retryMs: 1,
		onTrouble: (e) => trouble.push(e?.code ?? 'over'),
	});
	load(patient);
	const good = patient.fd;
	patient.fd = full.fd;
	patient.onTrouble = (e) => {
		trouble.push(e?.code ?? 'over');
		patient.fd = good;
	};
	await patient.append({ a: 1 });
	assert.deepEqual(trouble, ['ENOSPC', 'over']);
	assert.deepEqual(load(new Journal(path.join(dir, 'p'))), [{ a: 1 }]);
});

test('the spool is trimmed, and its file does not grow for ever', async (t) => {
	const dir = fs.mkdtempSync('/tmp/chela-wa-s-');
	t.after(() => fs.rmSync(dir, { recursive: true }));
	const s = new Spool(dir);
	await s.open();
	for (let i = 0; i < 3000; i += 100) {
		await Promise.all(
			Array.from({ length: 100 }, (_, k) =>
				s.append({ type: 'message', text: 'x'.repeat(100), k: i + k }),
			),
		);
		s.ack(s.seq - 5);
	}
	await s.journal.settle();
	assert.ok(fs.statSync(path.join(dir, 'spool.jsonl')).size < 250_000);
	const again = new Spool(dir);
	await again.open();
	assert.deepEqual(
		[again.seq, again.acked, again.items.length, again.session],
		[3000, 2995, 5, s.session],
	);
	assert.equal(await again.append({}), 3001);
});
