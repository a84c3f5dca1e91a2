// SPDX-License-Identifier: Apache-2.0
// The real Baileys, as far as it can be seen without WhatsApp: that what the bridge relies on is
// so.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { ANN, BRIDGE, within } from './rig.mjs';

const require = createRequire(path.join(BRIDGE, 'bridge.mjs'));
const { WebSocketServer } = require('ws');
const baileys = await import(require.resolve('baileys'));
const socket = await import(path.join(BRIDGE, 'socket.mjs'));
const map = await import(path.join(BRIDGE, 'map.mjs'));
const { Keys } = await import(path.join(BRIDGE, 'keys.mjs'));

test('the numbers in map.mjs are those of the protobuf', () => {
	const { Type } = baileys.proto.Message.ProtocolMessage;
	assert.deepEqual([map.REVOKE, map.MESSAGE_EDIT], [Type.REVOKE, Type.MESSAGE_EDIT]);
	assert.equal(baileys.DisconnectReason.connectionReplaced, 440);
	assert.equal(baileys.DisconnectReason.restartRequired, 515);
	assert.equal(require('baileys/package.json').version, socket.name.split('/')[1]);
});

test('a real message goes through the mapping: Longs, bytes, a content that is sent again', () => {
	const { proto } = baileys;
	const bytes = proto.Message.encode({
		imageMessage: {
			caption: 'see',
			fileLength: 20311,
			fileSha256: Buffer.alloc(32, 1),
			mediaKey: Buffer.alloc(32, 2),
			directPath: '/v/x',
			mimetype: 'image/jpeg',
			contextInfo: {
				stanzaId: 'Q',
				participant: ANN.pn,
				quotedMessage: { conversation: 'old' },
			},
		},
	}).finish();
	const people = {
		learn() {},
		learnName() {},
		identity: (jid) => ({ jid }),
		same: (a, b) => a === b,
	};
	const m = new map.Mapper({
		people,
		me: () => ({ pn: '49@s.whatsapp.net' }),
		subject: () => '',
		ours: () => false,
	});
	const { event, media } = m.message(
		{
			key: { remoteJid: ANN.pn, fromMe: false, id: 'X' },
			messageTimestamp: 7,
			message: proto.Message.decode(bytes),
		},
		'notify',
	);
	assert.deepEqual(event.media, [
		{ hash: '01'.repeat(32), size: 20311, mime: 'image/jpeg', name: '', kind: 'image' },
	]);
	assert.deepEqual([event.text, event.quote.text, media[1].directPath], ['see', 'old', '/v/x']);
	const again = proto.Message.decode(Buffer.from(socket.encode({ conversation: 'x' }), 'base64'));
	assert.equal(again.conversation, 'x');
});

test('what is emitted is taken before Baileys holds it back, and an end has a code', async (t) => {
	const dir = fs.mkdtempSync('/tmp/chela-wa-b-');
	const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
	t.after(() => {
		fs.rmSync(dir, { recursive: true });
		server.close();
	});
	await new Promise((resolve) => server.once('listening', resolve));
	const keys = new Keys(dir, socket.codec);
	const { state, save } = keys.load();
	Object.assign(state.creds, { me: { id: '49@s.whatsapp.net' } });
	save();
	const sock = socket.open({
		auth: state,
		contentOf: () => undefined,
		groupOf: () => undefined,
		url: `ws://127.0.0.1:${server.address().port}/`,
	});
	const seen = [];
	const closed = new Promise((resolve) => {
		const emit = sock.ev.emit;
		sock.ev.emit = (name, data) => {
			seen.push(name);
			if (data.connection === 'close') resolve(data.lastDisconnect.error);
			return emit.call(sock.ev, name, data);
		};
	});
	await within(new Promise((resolve) => server.once('connection', resolve)), 'Baileys');
	sock.ev.buffer(); // as while it catches up
	let late = false;
	sock.ev.on('messages.upsert', () => {
		late = true;
	});
	await sock.upsertMessage(
		{ key: { remoteJid: ANN.pn, fromMe: false, id: 'X' }, message: { conversation: 'x' } },
		'append',
	);
	assert.ok(seen.includes('messages.upsert'));
	assert.equal(late, false);
	assert.equal(typeof sock.ws.on, 'function'); // acknowledgements are heard there
	for (const c of server.clients) c.terminate();
	assert.equal((await within(closed, 'the close')).output.statusCode, 428);
	for (const name of [
		'sendMessage',
		'end',
		'logout',
		'groupMetadata',
		'groupFetchAllParticipating',
		'requestPairingCode',
		'sendPresenceUpdate',
		'updateMediaMessage',
	])
		assert.equal(typeof sock[name], 'function', name);
});

test('keys on disk come back as they were', (t) => {
	const dir = fs.mkdtempSync('/tmp/chela-wa-k-');
	t.after(() => fs.rmSync(dir, { recursive: true }));
	const keys = new Keys(dir, socket.codec);
	const { state, save } = keys.load();
	assert.equal(keys.linked(), false);
	state.creds.account = { details: Buffer.from('x') };
	save();
	return (async () => {
		await state.keys.set({
			session: { 'a/b:1': new Uint8Array([1, 2]) },
			'pre-key': { 1: { public: Buffer.from('p'), private: Buffer.from('q') } },
			'app-state-sync-key': { 'A/=': { keyData: Buffer.from('k') } },
		});
		const again = new Keys(dir, socket.codec);
		assert.equal(again.linked(), true);
		const { state: s } = again.load();
		assert.deepEqual(s.creds.noiseKey, state.creds.noiseKey);
		assert.deepEqual(
			Buffer.from((await s.keys.get('session', ['a/b:1', 'none']))['a/b:1']),
			Buffer.from([1, 2]),
		);
		assert.deepEqual(
			Buffer.from((await s.keys.get('app-state-sync-key', ['A/=']))['A/='].keyData),
			Buffer.from('k'),
		);
		await s.keys.set({ 'pre-key': { 1: null } });
		assert.equal((await s.keys.get('pre-key', ['1']))['1'], null);
	})();
});

test("only WhatsApp's own hosts are asked for media", async () => {
	for (const ref of [
		{ url: 'https://evil.example/x' },
		{ url: 'http://mmg.whatsapp.net/x' },
		{ url: 'https://mmg.whatsapp.net.evil.example/x' },
		{ url: 'https://mmg.whatsapp.net:8443/x' },
		{ directPath: '@evil.example/x' },
		{ directPath: '//evil.example/x' },
		{ directPath: '' },
	]) {
		const sock = {
			updateMediaMessage: async () => {
				throw new Error('asked again');
			},
		};
		await assert.rejects(
			socket.download(sock, {
				kind: 'imageMessage',
				type: 'image',
				mediaKey: 'AAAA',
				url: '',
				...ref,
			}),
			/asked again/,
		);
	}
});

test('the lock file names no place', () => {
	const text = fs.readFileSync(path.join(BRIDGE, 'package-lock.json'), 'utf8');
	assert.ok(!text.includes('"resolved"'));
	assert.ok(!/git(\+|:)/.test(text));
});

test('without a network: 408, and words that tell it from a code that nobody scanned', async () => {
	const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
	await new Promise((resolve) => server.on('listening', resolve));
	const { port } = server.address();
	await new Promise((resolve) => server.close(resolve));
	const sock = socket.open({
		auth: { creds: baileys.initAuthCreds(), keys: { get: async () => ({}), set: async () => {} } },
		contentOf: () => undefined,
		groupOf: () => undefined,
		url: `ws://127.0.0.1:${port}/`,
	});
	const closed = new Promise((resolve) =>
		sock.ev.on('connection.update', (u) => u.connection === 'close' && resolve(u)),
	);
	const { error } = (await within(closed, 'the end')).lastDisconnect;
	assert.equal(error.output.statusCode, 408);
	assert.match(error.message, /^WebSocket Error \(.*ECONNREFUSED.*\)$/);
});
