// SPDX-License-Identifier: Apache-2.0
// Everything at once, by a seeded chance: the bridge is killed, WhatsApp hangs up, acknowledgements
// get lost, the client's connection breaks. Afterwards each event has come, each request has been
// carried out, and what WhatsApp saw twice had the same message id (its apps show that once).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANN, BOB, Inbox, rig, within } from './rig.mjs';

const SEED = Number(process.env.CHELA_SEED ?? 7);
const KILLS = process.env.CHELA_LONG ? 25 : 5;
const EVENTS = 80; // between two kills
const REQUESTS = 30; // at a kill

// mulberry32
function chance(seed) {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

// A client as Chela is one: it acknowledges what it has, and repeats a request until it is answered.
class Patient {
	constructor(r, random) {
		Object.assign(this, { r, random, seen: new Map(), answers: new Map(), doubled: 0 });
	}

	async connect() {
		const c = await this.r.client();
		this.c = c;
		this.lost = false;
		c.closed.then(() => {
			if (this.c === c) this.lost = true;
			this.wake?.();
		});
		c.inbox = new Inbox();
		c.inbox.put = (f) => this.frame(c, f);
		await within(c.opened, 'the connection');
		c.send({ hello: { version: 1, token: 'a-token-of-the-tests-0123456789' } });
		for (const q of this.open ?? []) c.send(q);
	}

	frame(c, f) {
		if (f.seq) {
			const known = this.seen.get(f.seq);
			assert.ok(known === undefined || known === f.event.id, 'a number for two events');
			if (known !== undefined) this.doubled++;
			this.seen.set(f.seq, f.event.id);
			if (this.random() < 0.3) c.ack(f.seq);
		} else if (f.id) {
			this.answers.set(f.id, f);
		}
		this.wake?.();
	}

	// Waits until test() holds, and comes back when the connection was lost.
	async until(test, again) {
		while (!test()) {
			if (this.lost) await again();
			if (test()) return;
			await within(
				new Promise((resolve) => {
					this.wake = resolve;
				}),
				'something to happen',
			);
		}
	}
}

test(`seed ${SEED}`, async (t) => {
	const random = chance(SEED);
	const r = await rig(t, { env: { CHELA_WA_SPEED: '200' } });
	const p = new Patient(r, random);
	r.wa.autoAck = false;
	r.wa.answers.sendMessage = (jid, content, { messageId }) => {
		const dice = random();
		if (dice < 0.03) setImmediate(() => r.wa.close(428));
		else if (dice > 0.06) setImmediate(() => r.wa.ack(messageId));
		return null; // between: WhatsApp took it, and its word was lost
	};
	const up = () => r.wa.up();
	const accept = r.wa.sockets.put.bind(r.wa.sockets);
	r.wa.sockets.put = (s) => {
		accept(s);
		up();
	};
	await p.connect();
	const again = async () => {
		if (r.bridge.proc.exitCode !== null || r.bridge.proc.signalCode !== null) await r.start();
		await p.connect();
	};
	const wanted = [];
	for (let k = 0; k < KILLS; k++) {
		for (let i = 0; i < EVENTS; i++) {
			wanted.push(r.wa.message({ message: { conversation: `e${k}-${i}` } }));
			if (i % 40 === 20) p.c.end();
		}
		// what has come to the client was on disk: what WhatsApp would call delivered
		await p.until(() => p.seen.size >= wanted.length, again);
		p.open = Array.from({ length: REQUESTS }, (_, n) => {
			const text = `q${k}-${n}`;
			return { id: text, op: 'send', to: n % 2 ? ANN.pn : BOB.pn, text };
		});
		for (const q of p.open) p.c.send(q);
		await p.until(() => p.answers.has(p.open[REQUESTS / 2].id), again);
		await r.bridge.kill();
		while (p.open.length) {
			for (const q of p.open) p.answers.delete(q.id);
			if (p.lost || r.bridge.proc.signalCode) await again();
			else for (const q of p.open) p.c.send(q);
			await p.until(() => p.open.every((q) => p.answers.has(q.id)), again);
			const failed = p.open.filter((q) => !p.answers.get(q.id).ok);
			for (const q of failed) assert.ok(p.answers.get(q.id).error.retryable);
			p.open = failed;
			if (failed.length) await new Promise((resolve) => setTimeout(resolve, 5)); // retry_ms
		}
	}
	assert.deepEqual([...p.seen.entries()].sort((a, b) => a[0] - b[0]).map((e) => e[1]), wanted);
	const ids = new Map();
	for (const s of r.wa.sent) {
		assert.equal(ids.get(s.content.text) ?? s.id, s.id, 'one request, two messages');
		ids.set(s.content.text, s.id);
	}
	assert.equal(ids.size, KILLS * REQUESTS);
	assert.equal(new Set(ids.values()).size, ids.size);
	t.diagnostic(`${wanted.length} events (${p.doubled} came again), ${ids.size} requests (${r.wa.sent.length - ids.size} seen again by WhatsApp)`);
});
