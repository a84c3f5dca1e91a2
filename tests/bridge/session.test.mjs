// SPDX-License-Identifier: Apache-2.0
// The session's states: every way in which WhatsApp ends a connection, linking, logging out.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ME, rig } from './rig.mjs';

for (const code of [408, 428, 503, 0])
	test(`${code || 'no code'}: tries again, with a back-off that grows`, async (t) => {
		const r = await rig(t, { env: { CHELA_WA_SPEED: '50' } });
		const c = await r.join();
		const waits = [];
		for (let i = 0; i < 5; i++) {
			r.wa.close(code, 'why');
			waits.push((await c.state('retrying')).retry_ms);
			await c.state('connecting');
			await r.wa.sockets.take();
		}
		for (let i = 0; i < 5; i++)
			// 1 s, 2 s, 4 s ... by speed, each between half and whole
			assert.ok(waits[i] >= 2 ** i * 10 - 1 && waits[i] <= 2 ** i * 20 + 1, waits.join());
		r.wa.up();
		assert.equal((await c.state('up')).me.jid, '4915119999999@s.whatsapp.net');
	});

test('515 after pairing is normal: at once', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	r.wa.close(515);
	const s = await c.state('retrying');
	assert.deepEqual([s.code, s.retry_ms], [515, 0]);
	await c.state('connecting');
});

test('401: logged out, the keys are set aside, the process lives, link begins anew', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	r.wa.close(401);
	assert.equal((await c.state('logged_out')).code, 401);
	assert.ok(fs.existsSync(path.join(r.dir, 'keys.old/creds.json')));
	assert.equal(
		(await c.ask('send', { to: '4915110000001@s.whatsapp.net', text: 'x' })).error.code,
		'offline',
	);
	assert.equal((await c.ask('link')).state, 'linking');
	assert.equal((await r.wa.sockets.take((s) => s.open > 1)).linked, false);
});

test('440: conflict, tried again after long, or at once by link', async (t) => {
	const r = await rig(t, { env: { CHELA_WA_SPEED: '1' } });
	const c = await r.join();
	r.wa.close(440);
	const s = await c.state('conflict');
	assert.ok(s.retry_ms > 590_000);
	assert.equal((await c.ask('link')).state, 'connecting');
	await r.wa.sockets.take();
	r.wa.up();
	await c.state('up');
});

for (const code of [403, 411])
	test(`${code}: forbidden, no tries`, async (t) => {
		const r = await rig(t);
		const c = await r.join();
		r.wa.close(code);
		const s = await c.state('forbidden');
		assert.deepEqual([s.code, s.retry_ms], [code, undefined]);
		assert.ok((await c.ask('ping')).ok);
	});

test('500 five times running: the session is bad, and that is said; fewer are borne', async (t) => {
	const r = await rig(t, { env: { CHELA_WA_SPEED: '50' } });
	const c = await r.join();
	for (let i = 0; i < 4; i++) {
		r.wa.close(500);
		await c.state('connecting');
		await r.wa.sockets.take();
	}
	r.wa.up();
	await c.state('up'); // that ends the row
	for (let i = 0; i < 5; i++) {
		r.wa.close(500);
		if (i < 4) {
			await c.state('connecting');
			await r.wa.sockets.take();
		}
	}
	assert.equal((await c.state('logged_out')).code, 500);
});

test('405: a newer version of the client is asked for', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	r.wa.close(405);
	await c.state('connecting');
	assert.deepEqual((await r.wa.sockets.take()).version, [2, 3000, 42]);
});

test('a connection that comes to nothing is given up', async (t) => {
	const r = await rig(t, { env: { CHELA_WA_SPEED: '50' } });
	const c = await r.join();
	r.wa.close(428);
	await c.state('connecting'); // and nothing more is said
	assert.equal((await c.state('retrying')).code, 428);
	assert.equal((await c.state('retrying')).code, 408);
});

test('link by QR: drawn for a terminal, 515, up; the keys survive kill -9', async (t) => {
	const r = await rig(t, { linked: false });
	const c = await r.join();
	assert.equal(c.welcome.state.state, 'unlinked');
	assert.equal(c.welcome.me, undefined);
	assert.equal((await c.ask('link')).state, 'linking');
	assert.equal((await r.wa.sockets.take()).linked, false);
	for (let n = 1; n <= 2; n++) {
		r.wa.emit('connection.update', { qr: `2@qr-${n}` });
		const { event } = await c.event('qr');
		assert.deepEqual([event.qr, event.n], [`2@qr-${n}`, n]);
		assert.match(event.text, /[▄▀█]{10}/);
	}
	r.wa.emit('creds.update', { account: { details: 'x' }, me: ME });
	r.wa.emit('connection.update', { isNewLogin: true, qr: undefined });
	r.wa.close(515);
	await c.state('connecting');
	assert.equal((await r.wa.sockets.take()).linked, true);
	r.wa.up();
	assert.equal((await c.state('up')).me.lid, '199999999999999@lid');
	assert.equal((await c.ask('link')).error.code, 'bad_request');
	await r.bridge.kill();
	await r.again(); // it asks for a linked socket
});

test('link by pairing code; nobody types it; a refusal', async (t) => {
	const r = await rig(t, { linked: false });
	const c = await r.join();
	await c.ask('link', { phone: '4915112345678' });
	await r.wa.sockets.take();
	r.wa.emit('connection.update', { qr: '2@x' });
	assert.deepEqual((await c.event('pairing')).event, {
		type: 'pairing',
		code: 'ABCD1234',
		phone: '4915112345678',
		ttl_ms: 160000,
	});
	r.wa.emit('connection.update', { qr: '2@y' });
	r.wa.close(408, 'QR refs attempts ended');
	assert.match((await c.state('unlinked')).text, /in time/);
	r.wa.answers.requestPairingCode = () => Object.assign(new Error('bad number'), { status: 400 });
	await c.ask('link', { phone: '4915112345678' });
	await r.wa.sockets.take();
	r.wa.emit('connection.update', { qr: '2@x' });
	assert.match((await c.state('unlinked')).text, /bad number/);
	assert.equal(c.inbox.items.filter((f) => f.event?.type === 'qr').length, 0);
});

test('why a link came to nothing: no network, or nobody scanned', async (t) => {
	const r = await rig(t, { linked: false });
	const c = await r.join();
	const lost = 'no connection to WhatsApp: getaddrinfo ENOTFOUND web.whatsapp.net';
	for (const [shown, code, words, told] of [
		[false, 408, 'WebSocket Error (getaddrinfo ENOTFOUND web.whatsapp.net)', lost],
		[true, 408, 'WebSocket Error (getaddrinfo ENOTFOUND web.whatsapp.net)', lost],
		[false, 500, 'WebSocket Error (bad cert)', 'no connection to WhatsApp: bad cert'],
		[false, 408, 'WebSocket Error ()', 'no connection to WhatsApp'],
		[true, 408, 'Connection was lost', 'no connection to WhatsApp: Connection was lost'],
		[true, 408, 'QR refs attempts ended', 'nobody scanned it in time'],
		[true, 403, 'x', 'WhatsApp refuses this account'],
	]) {
		await c.ask('link');
		await r.wa.sockets.take();
		if (shown) {
			r.wa.emit('connection.update', { qr: '2@x' });
			await c.event('qr');
		}
		r.wa.close(code, words);
		assert.equal((await c.state('unlinked')).text, told);
	}
});

test('logout deletes the keys; force links another account', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	assert.equal((await c.ask('link', { force: true })).state, 'linking');
	await r.wa.calls.take((x) => x.name === 'logout');
	await r.wa.sockets.take();
	r.wa.up();
	await c.state('up');
	assert.ok((await c.ask('logout')).ok);
	await c.state('unlinked');
	assert.ok(!fs.existsSync(path.join(r.dir, 'keys')));
	assert.ok(!fs.existsSync(path.join(r.dir, 'keys.old')));
	await r.bridge.kill();
	await r.start();
	assert.equal((await (await r.client()).hello()).state.state, 'unlinked');
});

test('what a socket that was given up says is not heard', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	r.wa.close(428);
	r.wa.close(401); // the same socket again
	await c.state('retrying');
	await c.state('connecting');
	assert.equal((await c.ask('ping')).state.state, 'connecting');
});
