// SPDX-License-Identifier: Apache-2.0
// What has been sent, by request id: a repeat gets the same answer, and WhatsApp's retry requests
// ("waiting for this message") get the content again. Must never: call something sent before
// WhatsApp has taken it.
import crypto from 'node:crypto';
import path from 'node:path';
import { Journal } from './journal.mjs';

const MAX_ANSWERS = 10_000;
const MAX_CONTENTS = 2_000;
const MAX_CONTENT = 65_536;

export class Sent {
	constructor(dir, { maxAnswers = MAX_ANSWERS } = {}) {
		this.maxAnswers = maxAnswers;
		this.journal = new Journal(path.join(dir, 'sent.jsonl'));
		this.answers = new Map(); // request id -> {digest, answer}
		this.contents = new Map(); // WhatsApp's id -> base64 of the protobuf
		this.ours = new Map(); // WhatsApp's id -> request id
	}

	open() {
		this.journal.load((o) => this.take(o));
	}

	take(o) {
		this.answers.delete(o.id);
		this.answers.set(o.id, { digest: o.digest, answer: o.answer });
		if (o.answer.wa_id) this.ours.set(o.answer.wa_id, o.id);
		if (o.content) this.contents.set(o.answer.wa_id, o.content);
		for (const [map, max] of [
			[this.answers, this.maxAnswers],
			[this.ours, this.maxAnswers],
			[this.contents, MAX_CONTENTS],
		])
			while (map.size > max) map.delete(map.keys().next().value);
	}

	get(id) {
		return this.answers.get(id);
	}

	// Keeps the outcome; content: base64 or undefined. Rejects when the disk does not take it.
	async keep(id, digest, answer, content) {
		const o = { id, digest, answer };
		if (content && content.length <= MAX_CONTENT) o.content = content;
		await this.journal.append(o);
		this.take(o);
		if (this.journal.lines > 2 * this.maxAnswers && !this.compacting) {
			this.compacting = true;
			this.journal
				.rewrite(() => this.all())
				.catch(() => {})
				.finally(() => {
					this.compacting = false;
				});
		}
	}

	all() {
		return [...this.answers].map(([id, { digest, answer }]) => ({
			id,
			digest,
			answer,
			content: this.contents.get(answer.wa_id),
		}));
	}

	// The message id for a request: the same at each try, in the form that WhatsApp Web uses.
	static waId(id) {
		return (
			'3EB0' +
			crypto
				.createHash('sha256')
				.update(`chela:${id}`)
				.digest('hex')
				.slice(0, 18)
				.toUpperCase()
		);
	}
}

// A fingerprint of what a request asks for, whatever the order of its members.
export function digest(request) {
	const sorted = (v) =>
		v && typeof v === 'object' && !Array.isArray(v)
			? Object.fromEntries(
					Object.keys(v)
						.sort()
						.map((k) => [k, sorted(v[k])]),
				)
			: v;
	return crypto
		.createHash('sha256')
		.update(JSON.stringify(sorted(request)))
		.digest('hex')
		.slice(0, 32);
}
