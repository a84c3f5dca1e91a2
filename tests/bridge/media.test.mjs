// SPDX-License-Identifier: Apache-2.0
// Files both ways: by content hash, in chunks, within their bounds.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ANN, BRIDGE, rig } from './rig.mjs';

const { Media, CHUNK } = await import(path.join(BRIDGE, 'media.mjs'));
const sha = (b) => crypto.createHash('sha256').update(b).digest('hex');
const buffer = (b) => ({ type: 'Buffer', data: b.toString('base64') });

async function put(c, data, hash = sha(data)) {
	let have = (await c.ask('put', { hash, size: data.length, offset: 0, data: '' })).have;
	while (have < data.length) {
		const answer = await c.ask('put', {
			hash,
			size: data.length,
			offset: have,
			data: data.subarray(have, have + CHUNK).toString('base64'),
		});
		if (answer.error) return answer.error;
		have = answer.have;
	}
	return hash;
}

test('a file is put in chunks, goes on after a break, and is sent as what it is', async (t) => {
	const r = await rig(t);
	let c = await r.join();
	const data = crypto.randomBytes(500_000);
	const hash = sha(data);
	const first = {
		hash,
		size: data.length,
		offset: 0,
		data: data.subarray(0, CHUNK).toString('base64'),
	};
	assert.equal((await c.ask('put', first)).have, CHUNK);
	assert.equal((await c.ask('put', first)).have, CHUNK); // again: nothing is written twice
	assert.equal(
		(await c.ask('send_media', { to: ANN.pn, hash, mime: 'image/png', name: 'x.png' })).error
			.code,
		'not_found',
	);
	await r.bridge.kill();
	await r.again();
	c = await r.join();
	assert.equal(await put(c, data), hash);
	const one = { to: ANN.pn, hash, mime: 'image/png', name: 'x.png', caption: 'look' };
	assert.ok((await c.ask('send_media', one, 'm1')).ok);
	assert.ok((await c.ask('send_media', one, 'm1')).repeat);
	const { content } = r.wa.sent[0];
	assert.equal(content.caption, 'look');
	assert.deepEqual(fs.readFileSync(content.image.url), data);
	for (const [mime, voice, kind, more] of [
		['video/mp4', undefined, 'video', {}],
		['audio/mpeg', true, 'audio', { ptt: false }],
		[
			'audio/ogg; codecs=opus',
			true,
			'audio',
			{ ptt: true, mimetype: 'audio/ogg; codecs=opus' },
		],
		['application/pdf', undefined, 'document', { fileName: 'x.png' }],
		['image/svg+xml', undefined, 'document', {}],
		['text/html', undefined, 'document', {}],
	]) {
		assert.ok(
			(
				await c.ask('send_media', {
					to: ANN.pn,
					hash,
					mime,
					name: 'x.png',
					...(voice && { voice }),
				})
			).ok,
			mime,
		);
		const sent = r.wa.sent.at(-1).content;
		assert.ok(sent[kind], mime);
		for (const [k, v] of Object.entries(more)) assert.equal(sent[k], v, mime);
	}
	assert.equal(r.wa.sent.length, 7);
	const back = await c.ask('fetch', { hash, offset: 400_000 });
	assert.deepEqual(Buffer.from(back.data, 'base64'), data.subarray(400_000));
	assert.ok(back.end);
});

test('a wrong hash, a wrong size, a file that is too large', async (t) => {
	const r = await rig(t, { linked: false });
	const c = await r.join();
	const data = Buffer.from('something');
	assert.equal((await put(c, data, sha(Buffer.from('other')))).code, 'bad_request');
	assert.equal(
		(await c.ask('put', { hash: sha(data), size: 3, offset: 0, data: data.toString('base64') }))
			.error.code,
		'bad_request',
	);
	assert.equal(
		(await c.ask('put', { hash: sha(data), size: (100 << 20) + 1, offset: 0, data: '' })).error
			.code,
		'too_large',
	);
	assert.equal(
		(await c.ask('put', { hash: sha(data), size: 9, offset: 0, data: 'A'.repeat(262_148) }))
			.error.code,
		'bad_request',
	);
	assert.equal(await put(c, data), sha(data)); // offline too
	assert.equal(await put(c, Buffer.alloc(0)), sha(Buffer.alloc(0)));
	assert.equal((await c.ask('fetch', { hash: sha(data), offset: 10 })).error.code, 'bad_request');
	assert.equal(
		(await c.ask('fetch', { hash: '0'.repeat(64), offset: 0 })).error.code,
		'not_found',
	);
});

test('media of a message is fetched once from WhatsApp, checked, and given in chunks; also after a restart', async (t) => {
	const r = await rig(t);
	const data = crypto.randomBytes(300_000);
	let lies = true;
	let downloads = 0;
	r.wa.answers.download = (ref) => {
		downloads++;
		assert.deepEqual(
			[ref.type, ref.directPath, ref.mediaKey],
			['image', '/v/t62/x', Buffer.alloc(32, 7).toString('base64')],
		);
		return { data: buffer(lies ? Buffer.from('not it') : data) };
	};
	r.wa.answers.download.toString = () => 'download';
	let c = await r.join();
	const picture = {
		imageMessage: {
			url: 'https://mmg.whatsapp.net/v/t62/x',
			directPath: '/v/t62/x',
			mediaKey: buffer(Buffer.alloc(32, 7)),
			fileSha256: buffer(Buffer.from(sha(data), 'hex')),
			fileLength: { low: 300000, high: 0, unsigned: true },
			mimetype: 'image/jpeg',
			caption: 'see',
		},
	};
	picture.imageMessage.fileLength = '300000'; // as JSON has a Long
	r.wa.message({ message: picture });
	const { event, seq } = await c.event('message');
	assert.equal(event.text, 'see');
	assert.deepEqual(event.media, [
		{ hash: sha(data), size: 300000, mime: 'image/jpeg', name: '', kind: 'image' },
	]);
	c.ack(seq);
	assert.equal((await c.ask('fetch', { hash: sha(data), offset: 0 })).error.code, 'not_found'); // another content than announced
	lies = false;
	await r.bridge.kill();
	await r.start();
	c = await r.client();
	await c.hello();
	assert.equal((await c.ask('fetch', { hash: sha(data), offset: 0 })).error.code, 'offline'); // no session yet
	await r.wa.sockets.take((s) => s.linked);
	r.wa.up();
	await c.state('up');
	const parts = [];
	for (let at = 0, end = false; !end;) {
		const got = await c.ask('fetch', { hash: sha(data), offset: at });
		assert.deepEqual([got.size, got.offset, got.mime], [300000, at, 'image/jpeg']);
		parts.push(Buffer.from(got.data, 'base64'));
		at += parts.at(-1).length;
		end = got.end;
	}
	assert.deepEqual(Buffer.concat(parts), data);
	assert.equal(downloads, 2);
});

test('the store has its bounds: the longest unused go first', (t) => {
	const dir = fs.mkdtempSync('/tmp/chela-wa-m-');
	t.after(() => fs.rmSync(dir, { recursive: true }));
	const m = new Media(dir, { maxStore: 2500, maxFile: 2000 });
	m.open();
	const files = [1, 2, 3].map((n) => Buffer.alloc(1000, n));
	const old = new Date(Date.now() - 60_000);
	for (const f of files) {
		assert.equal(m.put(sha(f), 1000, 0, f), 1000);
		if (f !== files[2]) fs.utimesSync(m.file(sha(f)), old, new Date(old.getTime() + f[0]));
	}
	assert.deepEqual(
		files.map((f) => m.whole(sha(f))),
		[-1, 1000, 1000],
	);
	assert.throws(() => m.put(sha(files[0]), 2001, 0, Buffer.alloc(0)), { code: 'too_large' });
});

test('a download that does not end is cut at the bound', async (t) => {
	const dir = fs.mkdtempSync('/tmp/chela-wa-d-');
	t.after(() => fs.rmSync(dir, { recursive: true }));
	async function* endless() {
		for (;;) yield Buffer.alloc(1000);
	}
	const m = new Media(dir, { maxFile: 5000, download: async () => endless() });
	m.open();
	m.keepRef('0'.repeat(64), { mime: 'x/y' });
	await assert.rejects(m.get('0'.repeat(64), 0, 10, true), { code: 'too_large' });
	assert.deepEqual(fs.readdirSync(m.dir), ['0'.repeat(64) + '.ref']);
});
