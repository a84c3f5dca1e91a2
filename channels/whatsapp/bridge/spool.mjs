// SPDX-License-Identifier: Apache-2.0
// The events that Chela has not acknowledged yet, on disk and in order. Why: WhatsApp gives a
// message once; Chela may be down or restarting then. Must never: number an event twice, or forget
// one that was not acknowledged.
import crypto from 'node:crypto';
import path from 'node:path';
import { Journal } from './journal.mjs';

const MAX_EVENTS = 100_000;
const MAX_BYTES = 64 << 20;

export class Spool {
	// onEvent(): something new may be sent. onFull(bool): it is full, or half empty again.
	// onTrouble: see Journal.
	constructor(dir, { maxEvents = MAX_EVENTS, maxBytes = MAX_BYTES, onTrouble } = {}) {
		this.limits = { maxEvents, maxBytes };
		this.journal = new Journal(path.join(dir, 'spool.jsonl'), { retry: true, onTrouble });
		this.items = []; // {seq, text, bytes}: acked < seq, all on disk
		this.bytes = 0;
		this.session = '';
		this.seq = 0; // the last one on disk
		this.given = 0; // the last one given out
		this.acked = 0;
		this.full = false;
		this.onEvent = () => {};
		this.onFull = () => {};
	}

	async open() {
		this.journal.load((o) => this.take(o));
		this.given = this.seq;
		if (!this.session) {
			this.session = crypto.randomBytes(16).toString('hex');
			await this.journal.append(this.head());
		}
		this.drop();
		this.weigh();
	}

	head() {
		return { session: this.session, seq: this.acked, acked: this.acked };
	}

	take(o) {
		if (o.session) {
			this.session = o.session;
			this.seq = Math.max(this.seq, o.seq);
			this.acked = Math.max(this.acked, o.acked);
		} else if (o.ack) {
			this.acked = Math.max(this.acked, o.ack);
		} else if (o.seq > this.seq) {
			// a rewrite may have repeated lines
			this.seq = o.seq;
			this.push(o.seq, JSON.stringify(o));
		}
	}

	push(seq, text) {
		const bytes = Buffer.byteLength(text);
		this.items.push({ seq, text, bytes });
		this.bytes += bytes;
	}

	// Resolves with the number once the event is on disk.
	async append(event) {
		const o = { seq: ++this.given, event };
		await this.journal.append(o);
		this.seq = o.seq;
		this.push(o.seq, JSON.stringify(o));
		this.weigh();
		this.onEvent();
		return o.seq;
	}

	// Frames above a number, at most n.
	after(seq, n) {
		const first = seq - this.acked;
		return this.items.slice(first, first + n);
	}

	// All up to seq are durable at the client.
	ack(seq) {
		if (seq <= this.acked) return;
		this.acked = seq;
		this.drop();
		this.journal.append({ ack: seq }).catch(() => {});
		const { lines, size } = this.journal;
		if (lines > 1024 && size > 4 * this.bytes + 65536 && !this.compacting) {
			this.compacting = true;
			this.journal
				.rewrite(() => [this.head(), ...this.items.map((i) => JSON.parse(i.text))])
				.catch(() => {})
				.finally(() => {
					this.compacting = false;
				});
		}
		this.weigh();
	}

	drop() {
		let n = 0;
		while (n < this.items.length && this.items[n].seq <= this.acked)
			this.bytes -= this.items[n++].bytes;
		this.items.splice(0, n);
	}

	weigh() {
		const part = Math.max(
			this.items.length / this.limits.maxEvents,
			this.bytes / this.limits.maxBytes,
		);
		if (!this.full && part >= 1) this.onFull((this.full = true));
		else if (this.full && part <= 0.5) this.onFull((this.full = false));
	}
}
