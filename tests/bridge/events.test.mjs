// SPDX-License-Identifier: Apache-2.0
// From Baileys' shapes to events, through the whole bridge: identities, kinds, edits, what is left
// out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANN, BOB, GROUP, ME, rig } from './rig.mjs';

const ANNS = { jid: ANN.pn, lid: ANN.lid, pn: ANN.pn, name: 'Ann' };
const MINE = {
	jid: '4915119999999@s.whatsapp.net',
	lid: '199999999999999@lid',
	pn: '4915119999999@s.whatsapp.net',
};

test('a direct message by phone number and by LID is one person and one chat', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	const id = r.wa.message({
		key: { remoteJid: ANN.pn, remoteJidAlt: ANN.lid },
		message: { conversation: 'one' },
	});
	assert.deepEqual((await c.event('message')).event, {
		type: 'message',
		id,
		chat: { ...ANNS, group: false },
		sender: ANNS,
		from_me: false,
		ts: 1_790_000_000_000,
		text: 'one',
		mentions: [],
		mentioned_me: false,
		reply_to_me: false,
		forwarded: false,
		media: [],
		history: false,
	});
	r.wa.message({
		key: { remoteJid: ANN.lid },
		message: { extendedTextMessage: { text: 'two' } },
	});
	const { event } = await c.event('message');
	assert.deepEqual([event.chat, event.sender], [{ ...ANNS, group: false }, ANNS]);
	await r.bridge.kill();
	await r.again();
	r.wa.message({ key: { remoteJid: ANN.lid }, message: { conversation: 'three' } });
	const d = await r.join();
	assert.deepEqual((await d.inbox.take((f) => f.event?.text === 'three')).event.chat.jid, ANN.pn); // known from disk
});

test('a chat known by its LID moves once the number is known', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	r.wa.message({ key: { remoteJid: BOB.lid }, pushName: 'Bob', message: { conversation: 'hi' } });
	assert.deepEqual((await c.event('message')).event.chat, {
		jid: BOB.lid,
		lid: BOB.lid,
		name: 'Bob',
		group: false,
	});
	r.wa.emit('lid-mapping.update', BOB);
	const { event, seq } = await c.event('moved');
	assert.deepEqual(
		[event.from, event.to, seq],
		[BOB.lid, { jid: BOB.pn, lid: BOB.lid, pn: BOB.pn, name: 'Bob' }, 2],
	);
	r.wa.message({ key: { remoteJid: BOB.lid }, message: { conversation: 'again' } });
	assert.equal((await c.event('message')).event.chat.jid, BOB.pn);
	r.wa.emit('lid-mapping.update', BOB);
	r.wa.message({ message: { conversation: 'end' } });
	assert.equal((await c.event()).event.text, 'end'); // it moved once
});

test('a group: participant by LID, subject, mention, quote of ours, forwarded', async (t) => {
	const r = await rig(t);
	r.wa.answers.groupMetadata = () => ({
		id: GROUP,
		subject: 'Family',
		participants: [{ id: BOB.lid, lid: BOB.lid, phoneNumber: BOB.pn, admin: null }],
	});
	const c = await r.join();
	const mine = (await c.ask('send', { to: GROUP, text: 'ours' })).wa_id;
	r.wa.message({
		key: {
			remoteJid: GROUP,
			participant: ANN.lid,
			participantAlt: ANN.pn,
			addressingMode: 'lid',
		},
		message: {
			extendedTextMessage: {
				text: '@199999999999999 look',
				contextInfo: {
					stanzaId: mine,
					participant: '199999999999999@lid',
					quotedMessage: { conversation: 'ours' },
					mentionedJid: ['199999999999999@lid', BOB.lid],
					isForwarded: true,
				},
			},
		},
	});
	const { event } = await c.event('message');
	assert.deepEqual(event.chat, { jid: GROUP, group: true }); // its name is not known yet
	assert.deepEqual(event.sender, ANNS);
	assert.deepEqual(event.quote, { id: mine, text: 'ours', sender: { ...MINE } });
	assert.deepEqual(
		[event.mentioned_me, event.reply_to_me, event.forwarded, event.mentions.length],
		[true, true, true, 2],
	);
	assert.deepEqual((await c.event('group')).event, {
		type: 'group',
		jid: GROUP,
		subject: 'Family',
	});
	r.wa.message({
		key: { remoteJid: GROUP, participant: BOB.lid },
		pushName: 'Bob',
		message: { conversation: 'x' },
	});
	const second = (await c.event('message')).event;
	assert.deepEqual(
		[second.chat.subject, second.sender],
		['Family', { jid: BOB.pn, lid: BOB.lid, pn: BOB.pn, name: 'Bob' }],
	); // from the list of members
	r.wa.emit('groups.update', [{ id: GROUP, subject: 'Kin', author: ANN.lid }]);
	assert.equal((await c.event('group')).event.subject, 'Kin');
});

test('edit, delete, reaction: one event each, though Baileys tells of them twice', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	const mine = (await c.ask('send', { to: GROUP, text: 'ours' })).wa_id;
	const key = { remoteJid: GROUP, participant: ANN.lid, participantAlt: ANN.pn, fromMe: false };
	const target = r.wa.message({ key, message: { conversation: 'typo' } });
	await c.event('message');
	const edit = r.wa.message({
		key,
		message: {
			editedMessage: {
				message: {
					protocolMessage: {
						key: { remoteJid: GROUP, fromMe: true, id: target },
						type: 14,
						editedMessage: { extendedTextMessage: { text: 'type' } },
						timestampMs: '1790000001000',
					},
				},
			},
		},
	});
	r.wa.emit('messages.update', [
		{
			key: { ...key, id: target },
			update: { message: { editedMessage: { message: { conversation: 'type' } } } },
		},
	]);
	const plain = r.wa.message({
		key,
		message: {
			protocolMessage: {
				key: { id: target },
				type: 14,
				editedMessage: { conversation: 'typed' },
			},
		},
	});
	const gone = r.wa.message({
		key,
		message: {
			protocolMessage: { key: { remoteJid: GROUP, fromMe: false, id: target }, type: 0 },
		},
	});
	r.wa.emit('messages.update', [
		{
			key: { ...key, id: target },
			update: { message: null, messageStubType: 1, key: { ...key, id: gone } },
		},
	]);
	const like = r.wa.message({
		key,
		message: {
			reactionMessage: {
				key: { remoteJid: GROUP, fromMe: true, id: mine },
				text: '👍',
				senderTimestampMs: '1',
			},
		},
	});
	r.wa.emit('messages.reaction', [
		{
			key: { remoteJid: GROUP, fromMe: true, id: mine },
			reaction: { key: { ...key, id: like }, text: '👍' },
		},
	]);
	const unlike = r.wa.message({
		key,
		message: {
			reactionMessage: { key: { remoteJid: GROUP, fromMe: true, id: mine }, text: '' },
		},
	});
	r.wa.message({ message: { conversation: 'end' } });
	const got = [];
	for (let e; (e = (await c.inbox.take((f) => f.seq)).event).text !== 'end';)
		got.push([e.type, e.id, e.target, e.text ?? e.emoji, e.target_from_me, e.sender.jid]);
	assert.deepEqual(got, [
		['edit', edit, target, 'type', undefined, ANN.pn],
		['edit', plain, target, 'typed', undefined, ANN.pn],
		['delete', gone, target, undefined, undefined, ANN.pn],
		['reaction', like, mine, '👍', true, ANN.pn],
		['reaction', unlike, mine, '', true, ANN.pn],
	]);
});

test('every kind of content', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	const media = {
		url: 'https://mmg.whatsapp.net/x',
		directPath: '/x',
		mediaKey: { type: 'Buffer', data: 'AAAA' },
		fileSha256: { type: 'Buffer', data: Buffer.alloc(32, 1).toString('base64') },
		fileLength: '7',
	};
	const hash = '01'.repeat(32);
	for (const [message, text, wanted] of [
		[
			{ ephemeralMessage: { message: { extendedTextMessage: { text: 'vanishes' } } } },
			'vanishes',
		],
		[
			{
				viewOnceMessageV2: {
					message: {
						imageMessage: { ...media, mimetype: 'image/jpeg', caption: 'once' },
					},
				},
			},
			'once',
			{ hash, size: 7, mime: 'image/jpeg', name: '', kind: 'image' },
		],
		[
			{
				documentWithCaptionMessage: {
					message: {
						documentMessage: {
							...media,
							mimetype: 'application/pdf',
							fileName: '../a.pdf',
							caption: 'read',
						},
					},
				},
			},
			'read',
			{ hash, size: 7, mime: 'application/pdf', name: '../a.pdf', kind: 'document' },
		],
		[
			{
				audioMessage: {
					...media,
					mimetype: 'audio/ogg; codecs=opus',
					ptt: true,
					seconds: 4,
				},
			},
			'',
			{ hash, size: 7, mime: 'audio/ogg; codecs=opus', name: '', kind: 'voice', seconds: 4 },
		],
		[
			{ videoMessage: { ...media, mimetype: 'video/mp4', fileLength: null } },
			'',
			{ hash, size: -1, mime: 'video/mp4', name: '', kind: 'video' },
		],
		[
			{ stickerMessage: { ...media, mimetype: 'image/webp', mediaKey: null } },
			'',
			{ size: 7, mime: 'image/webp', name: '', kind: 'sticker' },
		],
		[
			{ locationMessage: { degreesLatitude: 52.5, degreesLongitude: 13.4, name: 'Here' } },
			'Location: Here 52.5, 13.4',
		],
		[
			{ contactMessage: { displayName: 'Eve', vcard: 'BEGIN:VCARD' } },
			'Contact: Eve\nBEGIN:VCARD',
		],
		[
			{
				pollCreationMessageV3: {
					name: 'When?',
					options: [{ optionName: 'Now' }, { optionName: 'Then' }],
				},
				messageContextInfo: {},
			},
			'Poll: When?\n- Now\n- Then',
		],
		[
			{ senderKeyDistributionMessage: { groupId: 'x' }, conversation: 'with a key' },
			'with a key',
		],
		[
			{ stickerPackMessage: { name: 'x' } },
			'[a message of a kind that cannot be read here: stickerPack]',
		],
		[{ conversation: 'a\u0000b' }, 'ab'],
	]) {
		r.wa.message({ message });
		const { event } = await c.event('message');
		assert.equal(event.text, text);
		assert.deepEqual(event.media, wanted ? [wanted] : []);
	}
	r.wa.message({ message: { conversation: 'é'.repeat(40_000) } });
	assert.equal((await c.event('message')).event.text, 'é'.repeat(32_768));
});

test('what is no event', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	const sent = (await c.ask('send', { to: ANN.pn, text: 'ours' })).wa_id;
	const text = { message: { conversation: 'x' } };
	r.wa.message({ key: { remoteJid: 'status@broadcast', participant: ANN.pn }, ...text });
	r.wa.message({ key: { remoteJid: '1203@newsletter' }, ...text });
	r.wa.message({ key: { id: sent, fromMe: true }, ...text }); // our own, as another device sees it
	r.wa.message({ messageStubType: 2, messageStubParameters: ['Message absent from node'] }); // not decrypted
	r.wa.message({ message: { senderKeyDistributionMessage: {} } });
	r.wa.message({
		message: { protocolMessage: { type: 5, historySyncNotification: {} } },
		key: { fromMe: true },
	});
	r.wa.message({ message: { pollUpdateMessage: {} } });
	r.wa.message({ key: { remoteJid: GROUP }, ...text }); // a group's message of nobody
	r.wa.emit('messages.upsert', {
		type: 'notify',
		messages: [null, {}, { key: {} }, { key: { remoteJid: 5, id: 'x' }, message: {} }],
	});
	r.wa.message({ message: { conversation: 'end' } });
	const f = await c.inbox.take((x) => x.seq);
	assert.deepEqual([f.event.text, f.seq], ['end', 1]);
});

test('history, and what the owner types on the phone', async (t) => {
	const r = await rig(t);
	const c = await r.join();
	r.wa.message({ type: 'append', message: { conversation: 'while you were away' } });
	assert.equal((await c.event('message')).event.history, true);
	r.wa.message({
		key: { remoteJid: ANN.lid, remoteJidAlt: '4915119999999@s.whatsapp.net', fromMe: true },
		message: { conversation: 'mine' },
	});
	const { event } = await c.event('message');
	assert.equal(event.from_me, true);
	assert.equal(event.sender.jid, '4915119999999@s.whatsapp.net');
	assert.equal(event.chat.jid, ANN.lid); // one's own number was not taken for hers
	r.wa.emit('contacts.update', [{ id: ANN.lid, phoneNumber: ANN.pn, notify: 'Ann' }]);
	assert.deepEqual((await c.event('moved')).event.to, ANNS);
	assert.equal(ME.name, 'Chela');
});
