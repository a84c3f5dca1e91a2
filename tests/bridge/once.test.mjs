// SPDX-License-Identifier: Apache-2.0
// A request is carried out once, however often it is asked.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { ANN, BOB, BRIDGE, GROUP, rig } from './rig.mjs';

const { Sent } = await import(path.join(BRIDGE, 'sent.mjs'));
const send = { to: ANN.pn, text: 'hello' };

test('a repeat gets the same answer, also over another connection and after kill -9', async (t) => {
	const r = await rig(t);
	let c = await r.join();
	const first = await c.ask('send', send, 'k1');
	assert.deepEqual(first, { id: 'k1', ok: true, wa_id: Sent.waId('k1'), ts: 1_790_000_000_000 });
	assert.match(first.wa_id, /^3EB0[0-9A-F]{18}$/);
	assert.deepEqual(await c.ask('send', send, 'k1'), { ...first, repeat: true });
	c.end();
	c = await r.join();
	assert.ok((await c.ask('send', { text: 'hello', to: ANN.pn }, 'k1')).repeat); // in another order
	await r.bridge.kill();
	await r.again();
	c = await r.join();
	assert.deepEqual(await c.ask('send', send, 'k1'), { ...first, repeat: true });
	assert.equal((await c.ask('send', { ...send, text: 'other' }, 'k1')).error.code, 'bad_request');
	assert.equal(r.wa.sent.length, 1);
	assert.deepEqual(
		[r.wa.sent[0].jid, r.wa.sent[0].content.text, r.wa.sent[0].id],
		[ANN.pn, 'hello', first.wa_id],
	);
});

test('killed between WhatsApp and the log: the repeat has the same message id', async (t) => {
	const r = await rig(t);
	r.wa.autoAck = false;
	let c = await r.join();
	c.send({ id: 'k2', op: 'send', ...send });
	await r.wa.calls.take((x) => x.name === 'sendMessage');
	await r.bridge.kill();
	await r.again();
	r.wa.autoAck = true;
	c = await r.join();
	assert.equal((await c.ask('send', send, 'k2')).wa_id, Sent.waId('k2'));
	assert.deepEqual(
		r.wa.sent.map((s) => s.id),
		[Sent.waId('k2'), Sent.waId('k2')],
	);
});

test('a repeat while the first is under way waits for it', async (t) => {
	const r = await rig(t);
	r.wa.autoAck = false;
	const a = await r.join();
	a.send({ id: 'k3', op: 'send', ...send });
	await r.wa.calls.take((x) => x.name === 'sendMessage');
	const b = await r.join();
	b.send({ id: 'k3', op: 'send', ...send });
	await b.ask('ping'); // it has been read
	r.wa.ack(Sent.waId('k3'));
	assert.ok((await b.inbox.take((f) => f.id === 'k3')).repeat);
	assert.equal(r.wa.sent.length, 1);
});

test('requests of a chat keep their order, another chat does not wait', async (t) => {
	const r = await rig(t);
	const held = [];
	r.wa.autoAck = false;
	const c = await r.join();
	await r.wa.calls.take((x) => x.name === 'groupFetchAllParticipating');
	r.wa.emit('lid-mapping.update', { lid: ANN.lid, pn: ANN.pn });
	r.wa.message({ message: { conversation: 'after it' } });
	await c.event('message');
	c.send({ id: 'a1', op: 'send', ...send });
	c.send({ id: 'a2', op: 'send', to: ANN.lid, text: 'second' }); // the same person by her other name
	c.send({ id: 'b1', op: 'send', to: BOB.pn, text: 'to Bob' });
	held.push((await r.wa.calls.take((x) => x.name === 'sendMessage')).args[1].text);
	held.push((await r.wa.calls.take((x) => x.name === 'sendMessage')).args[1].text);
	assert.deepEqual(held, ['hello', 'to Bob']);
	r.wa.ack(Sent.waId('a1'));
	assert.equal((await r.wa.calls.take((x) => x.name === 'sendMessage')).args[1].text, 'second');
	r.wa.ack(Sent.waId('a2'));
	assert.ok((await c.inbox.take((f) => f.id === 'a2')).ok);
});

test('what WhatsApp refuses, and what becomes of a broken connection', async (t) => {
	const r = await rig(t);
	r.wa.autoAck = false;
	const c = await r.join();
	const with_ = async (id, ack) => {
		c.send({ id, op: 'send', ...send });
		await r.wa.calls.take((x) => x.name === 'sendMessage');
		ack();
		return (await c.inbox.take((f) => f.id === id)).error;
	};
	assert.equal(
		(await with_('e1', () => r.wa.ack(Sent.waId('e1'), { error: '463' }))).code,
		'refused',
	);
	assert.equal(
		(await with_('e2', () => r.wa.ack(Sent.waId('e2'), { error: '404' }))).code,
		'gone',
	);
	const limited = await with_('e3', () => r.wa.ack(Sent.waId('e3'), { error: '429' }));
	assert.deepEqual([limited.code, limited.retryable, limited.retry_ms], ['limited', true, 60000]);
	const late = await with_('e4', () => {}); // no acknowledgement at all
	assert.deepEqual([late.code, late.retryable, late.unsure], ['timeout', true, true]);
	const broken = await with_('e5', () => r.wa.close(428));
	assert.deepEqual([broken.code, broken.unsure], ['timeout', true]);
	const off = (await c.ask('send', send, 'e6')).error;
	assert.deepEqual([off.code, off.retryable, off.unsure], ['offline', true, undefined]);
	const again = (f) => f.event?.type === 'state' && f.event.state === 'connecting';
	assert.ok(off.retry_ms >= 0 || c.inbox.items.some(again)); // nothing is left to wait once it tries
	r.wa.autoAck = true;
	await r.wa.sockets.take();
	r.wa.up();
	await c.state('up');
	assert.ok((await c.ask('send', send, 'e5')).ok); // an error is not kept
	r.wa.answers.sendMessage = () =>
		Object.assign(new Error('forbidden'), { data: 403, status: 500 });
	assert.equal((await c.ask('send', { to: GROUP, text: 'x' })).error.code, 'gone');
});

test('edit, react, typing, group, quotes', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	const mine = (await c.ask('send', { ...send, to: GROUP, mentions: [ANN.pn] })).wa_id;
	assert.deepEqual(r.wa.sent[0].content.mentions, [ANN.pn]);
	assert.ok((await c.ask('edit', { chat: GROUP, target: mine, text: 'better' })).ok);
	assert.deepEqual(r.wa.sent[1].content.edit, { remoteJid: GROUP, fromMe: true, id: mine });
	assert.equal(
		(await c.ask('edit', { chat: GROUP, target: 'UNKNOWN', text: 'x' })).error.code,
		'not_found',
	);

	const theirs = r.wa.message({
		key: { remoteJid: GROUP, participant: BOB.lid, participantAlt: BOB.pn },
		message: { conversation: 'question?' },
	});
	await c.event('message');
	assert.ok((await c.ask('react', { chat: GROUP, target: theirs, emoji: '👍' })).ok);
	assert.deepEqual(r.wa.sent[2].content.react, {
		text: '👍',
		key: { remoteJid: GROUP, fromMe: false, id: theirs, participant: BOB.lid },
	});
	assert.equal(
		(await c.ask('react', { chat: GROUP, target: 'UNKNOWN', emoji: '👍' })).error.code,
		'not_found',
	);
	assert.equal(
		(await c.ask('react', { chat: ANN.pn, target: theirs, emoji: '👍' })).error.code,
		'not_found',
	); // not of that chat
	assert.ok(
		(
			await c.ask('react', {
				chat: GROUP,
				target: 'UNKNOWN',
				emoji: '',
				sender: ANN.lid,
				from_me: false,
			})
		).ok,
	);
	assert.deepEqual(r.wa.sent[3].content.react, {
		text: '',
		key: { remoteJid: GROUP, fromMe: false, id: 'UNKNOWN', participant: ANN.lid },
	});

	assert.ok((await c.ask('send', { to: GROUP, text: 'answer', quote: { id: theirs } })).ok);
	assert.deepEqual(r.wa.sent[4].quoted, {
		key: { remoteJid: GROUP, fromMe: false, id: theirs, participant: BOB.lid },
		message: { conversation: 'question?' },
	});
	assert.ok(
		(
			await c.ask('send', {
				to: GROUP,
				text: 'answer',
				quote: { id: 'LONGAGO', text: 'old', sender: ANN.lid },
			})
		).ok,
	);
	assert.deepEqual(r.wa.sent[5].quoted.message, { conversation: 'old' });
	assert.equal(r.wa.sent[5].quoted.key.participant, ANN.lid);

	assert.ok((await c.ask('typing', { chat: GROUP, on: true })).ok);
	assert.deepEqual((await r.wa.calls.take((x) => x.name === 'sendPresenceUpdate')).args, [
		'composing',
		GROUP,
	]);
	r.wa.answers.groupMetadata = () => ({
		id: GROUP,
		subject: 'Family',
		owner: undefined,
		participants: [
			{ id: ANN.lid, lid: ANN.lid, phoneNumber: ANN.pn, admin: 'admin' },
			{ id: '100000000000003@lid', admin: null },
		],
	});
	const { group } = await c.ask('group', { jid: GROUP });
	assert.equal(group.subject, 'Family');
	assert.deepEqual(group.participants[0], { jid: ANN.pn, lid: ANN.lid, pn: ANN.pn, admin: true });
	assert.deepEqual(group.participants[1], {
		jid: '100000000000003@lid',
		lid: '100000000000003@lid',
		admin: false,
	});
	r.wa.answers.groupMetadata = () =>
		Object.assign(new Error('item-not-found'), { data: 404, status: 500 });
	assert.equal((await c.ask('group', { jid: '120363000000000009@g.us' })).error.code, 'gone');
});
