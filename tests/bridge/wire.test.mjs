// SPDX-License-Identifier: Apache-2.0
// Who may speak to the bridge, and in which form.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ANN, BRIDGE, Bridge, TOKEN, rig, within } from './rig.mjs';

const turnedAway = async (c, code, close) => {
	const { error } = await c.inbox.take((f) => f.error && !f.id);
	assert.equal(error.code, code);
	assert.equal(await within(c.closed, 'the close'), close);
	return error;
};

test('hello: token, version, form, time', async (t) => {
	const r = await rig(t, { linked: false });
	for (const [hello, code, close] of [
		[{ hello: { version: 1, token: 'wrong-token-0123456789' } }, 'bad_token', 4003],
		[{ hello: { version: 1, token: TOKEN + 'x' } }, 'bad_token', 4003],
		[{ hello: { version: 1 } }, 'bad_frame', 4002],
		[{ hello: { version: 2, token: TOKEN } }, 'bad_version', 4004],
		[{ id: 'x', op: 'ping' }, 'bad_frame', 4002],
		['{torn', 'bad_frame', 4002],
		['[]', 'bad_frame', 4002],
		[Buffer.from('x'), 'bad_frame', 4002],
	]) {
		const c = await r.client();
		await c.opened;
		c.send(hello);
		const error = await turnedAway(c, code, close);
		if (code === 'bad_version') assert.deepEqual(error.versions, [1]);
	}
	await r.bridge.kill();
	await r.start({ CHELA_WA_PACE: '2' });
	const silent = await r.client();
	await silent.opened;
	await turnedAway(silent, 'hello_timeout', 4001);
});

test('an Origin is refused, another path too, and too many who say nothing', async (t) => {
	const r = await rig(t, { linked: false });
	await assert.rejects((await r.client({ headers: { Origin: 'http://127.0.0.1' } })).opened, {
		status: 403,
	});
	await assert.rejects((await r.client({ headers: { Origin: 'null' } })).opened, { status: 403 });
	await assert.rejects((await r.client({ url: '/other' })).opened, { status: 404 });
	for (let i = 0; i < 8; i++) await (await r.client()).opened;
	await assert.rejects((await r.client()).opened, { status: 503 });
});

test('welcome tells the state; a new client replaces the old one after its token was right', async (t) => {
	const r = await rig(t);
	const a = await r.join();
	assert.equal(a.welcome.version, 1);
	assert.match(a.welcome.session, /^[0-9a-f]{32}$/);
	assert.equal(a.welcome.window, 256);
	const bad = await r.client();
	await bad.opened;
	bad.send({ hello: { version: 1, token: 'wrong-token-0123456789' } });
	await turnedAway(bad, 'bad_token', 4003);
	assert.ok((await a.ask('ping')).ok); // it is still there
	const b = await r.join();
	await turnedAway(a, 'replaced', 4009);
	const pong = await b.ask('ping');
	assert.equal(pong.state.state, 'up');
	assert.deepEqual(pong.state.me, {
		jid: '4915119999999@s.whatsapp.net',
		lid: '199999999999999@lid',
		pn: '4915119999999@s.whatsapp.net',
		name: 'Chela',
	});
});

test('frames of a welcomed client: odd ones end the connection, odd requests are answered', async (t) => {
	const r = await rig(t);
	for (const odd of [
		'{',
		'"x"',
		{ ack: 1 },
		{ ack: -1 },
		{ ack: 'x' },
		{ op: 'ping' },
		{ id: 'a b', op: 'ping' },
		{ id: 'a' },
	]) {
		const c = await r.join();
		c.send(odd);
		await turnedAway(c, 'bad_frame', 4002);
	}
	const big = await r.join();
	big.send({ id: 'x', op: 'send', to: ANN.pn, text: 'x'.repeat(1 << 20) });
	assert.equal(await within(big.closed, 'the close'), 1009);
	const c = await r.join();
	for (const [op, members] of [
		['dance', {}],
		['send', { to: 'x', text: 'x' }],
		['send', { to: ANN.pn, text: '' }],
		['send', { to: ANN.pn, text: 'é'.repeat(32769) }],
		['send', { to: ANN.pn, text: 'x', quote: {} }],
		['edit', { chat: ANN.pn, text: 'x' }],
		['react', { chat: ANN.pn, target: '../x', emoji: 'x' }],
		['send_media', { to: ANN.pn, hash: '0'.repeat(64), mime: 'image/png', name: 'a/b' }],
		['fetch', { hash: '../../etc/passwd', offset: 0 }],
		['put', { hash: '0'.repeat(64), size: 1, offset: 0, data: '?' }],
		['link', { phone: '+49' }],
		['typing', { chat: ANN.pn, on: 1 }],
		['constructor', {}],
	]) {
		const { error } = await c.ask(op, members);
		assert.equal(error.code, 'bad_request', op);
		assert.equal(error.retryable, false);
	}
	assert.equal(r.wa.sent.length, 0);
});

test('a client that has fallen silent is cut off', async (t) => {
	const r = await rig(t, { linked: false, env: { CHELA_WA_PACE: '50' } });
	const c = await r.join();
	c.ws.pong = () => {}; // as if the line were dead
	c.ws._receiver.removeAllListeners('ping');
	assert.equal(await within(c.closed, 'the cut'), 1006);
});

test('the end: of the parent, by signal, twice on one directory, without a token', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	const second = new Bridge(r.dir, r.wa.path());
	assert.equal(await within(second.ended, 'the second'), 3);
	r.bridge.proc.stdin.end();
	assert.equal(await within(r.bridge.ended, 'the end'), 0);
	assert.equal(await within(c.closed, 'the close'), 1001);
	await r.start();
	assert.equal(await r.bridge.kill('SIGTERM'), 0);
	assert.equal(
		await within(new Bridge(r.dir, r.wa.path(), { CHELA_WA_TOKEN: 'short' }).ended, 'no token'),
		2,
	);
	const file = path.join(r.wa.dir, 'token');
	fs.writeFileSync(file, TOKEN, { mode: 0o644 });
	assert.equal(
		await within(
			new Bridge(r.dir, r.wa.path(), { ARGS: ['--token-file', file] }).ended,
			'an open token file',
		),
		2,
	);
	fs.chmodSync(file, 0o600);
	await r.start({ CHELA_WA_TOKEN: '', ARGS: ['--token-file', file] });
	await (await r.client()).hello();
});

test('a new bridge waits for the end of the one before', async (t) => {
	const r = await rig(t, { linked: false });
	const next = new Bridge(r.dir, r.wa.path());
	r.bridges.push(next);
	const line = next.ready();
	await within(
		new Promise((resolve) =>
			next.proc.stderr.on('data', () => next.stderr.includes('waits') && resolve()),
		),
		'the second at the lock',
	);
	await r.bridge.kill();
	await line;
});

test('without its packages the bridge says what to do', async (t) => {
	const dir = fs.mkdtempSync('/tmp/chela-wa-n-');
	t.after(() => fs.rmSync(dir, { recursive: true }));
	for (const f of fs.readdirSync(BRIDGE))
		if (f.endsWith('.mjs')) fs.copyFileSync(path.join(BRIDGE, f), path.join(dir, f));
	const p = spawn(process.execPath, [path.join(dir, 'bridge.mjs'), '--dir', dir]);
	let said = '';
	p.stderr.on('data', (d) => {
		said += d;
	});
	assert.equal(await within(new Promise((resolve) => p.on('close', resolve)), 'the end'), 4);
	assert.match(said, /make bridge/);
});

test('a Node.js that is too old is told what to do', async (t) => {
	const dir = fs.mkdtempSync('/tmp/chela-wa-o-');
	t.after(() => fs.rmSync(dir, { recursive: true }));
	const old = path.join(dir, 'old.cjs');
	fs.writeFileSync(
		old,
		"Object.defineProperty(process, 'versions', { value: { node: '18.19.0' } });",
	);
	const p = spawn(process.execPath, ['-r', old, path.join(BRIDGE, 'bridge.mjs'), '--dir', dir]);
	let said = '';
	p.stderr.on('data', (d) => {
		said += d;
	});
	assert.equal(await within(new Promise((resolve) => p.on('close', resolve)), 'the end'), 5);
	assert.match(said, /too old.*make bridge/);
});

test('kill -9 of the parent takes the bridge along', async (t) => {
	const r = await rig(t, { linked: false });
	await r.bridge.kill('SIGTERM');
	const parent = spawn(
		process.execPath,
		[
			'-e',
			`
		const { spawn } = require('node:child_process');
		const p = spawn(process.execPath, [${JSON.stringify(path.join(BRIDGE, 'bridge.mjs'))}, '--dir', ${JSON.stringify(r.dir)}, '--supervised'],
			{ stdio: ['pipe', 'inherit', 'ignore'] });`,
		],
		{
			env: {
				...process.env,
				CHELA_WA_TOKEN: TOKEN,
				CHELA_WA_SOCKET: path.join(path.dirname(BRIDGE), '../../tests/bridge/standin.mjs'),
				CHELA_WA_DRIVER: r.wa.path(),
			},
			stdio: ['ignore', 'pipe', 'inherit'],
		},
	);
	await within(new Promise((resolve) => parent.stdout.once('data', resolve)), 'the bridge');
	const gone = new Promise((resolve) => parent.stdout.once('close', resolve)); // the bridge holds the other end
	parent.kill('SIGKILL');
	await within(gone, 'the end of the bridge');
});
