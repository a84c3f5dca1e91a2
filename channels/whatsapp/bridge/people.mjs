// SPDX-License-Identifier: Apache-2.0
// Who is who: WhatsApp's two names of a person (phone number and LID), display names, and the
// messages seen lately. Why: an identity comes now by one name, now by the other, and a reaction
// needs the exact key of its target. Must never: guess.
import path from 'node:path';
import { Journal } from './journal.mjs';

const MAX_PEOPLE = 100_000;
const MAX_RECENT = 5_000;

// One form for each name, without the device.
export function plainJid(jid) {
	const m = /^([^@:]+)(?::\d+)?@(.+)$/.exec(jid ?? '');
	if (!m) return '';
	const server =
		{ 'c.us': 's.whatsapp.net', hosted: 's.whatsapp.net', 'hosted.lid': 'lid' }[m[2]] ?? m[2];
	return `${m[1].replace(/_\d+$/, '')}@${server}`;
}
export const isLid = (jid) => jid.endsWith('@lid');
export const isPn = (jid) => jid.endsWith('@s.whatsapp.net');
export const isGroup = (jid) => jid.endsWith('@g.us');

export class People {
	constructor(dir) {
		this.journal = new Journal(path.join(dir, 'people.jsonl'), { sync: false });
		this.pnOf = new Map();
		this.lidOf = new Map();
		this.names = new Map();
		this.saidByLid = new Set(); // direct chats that Chela knows by their LID
		this.onMoved = () => {}; // (lid, pn)
	}

	open() {
		this.journal.load((o) => this.take(o));
	}

	take(o) {
		if (o.lid && o.pn) {
			this.pnOf.set(o.lid, o.pn);
			this.lidOf.set(o.pn, o.lid);
		}
		if (o.jid && o.name) this.names.set(o.jid, o.name);
		if (o.said) this.saidByLid.add(o.said);
		if (o.moved) this.saidByLid.delete(o.moved);
		for (const map of [this.pnOf, this.lidOf, this.names, this.saidByLid])
			if (map.size > MAX_PEOPLE) map.delete(map.keys().next().value);
	}

	keep(o) {
		this.take(o);
		this.journal.append(o).catch(() => {}); // learned again with the next message
		if (
			this.journal.lines >
				3 * (this.pnOf.size + this.names.size + this.saidByLid.size) + 5000 &&
			!this.compacting
		) {
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
		return [
			...[...this.pnOf].map(([lid, pn]) => ({ lid, pn })),
			...[...this.names].map(([jid, name]) => ({ jid, name })),
			...[...this.saidByLid].map((said) => ({ said })),
		];
	}

	// Two names of one person, in either order; anything else is ignored.
	learn(a, b) {
		a = plainJid(a);
		b = plainJid(b);
		const [lid, pn] = isLid(a) ? [a, b] : [b, a];
		if (!isLid(lid) || !isPn(pn) || this.pnOf.get(lid) === pn) return;
		this.keep({ lid, pn });
		if (this.saidByLid.has(lid)) {
			this.keep({ moved: lid });
			this.onMoved(lid, pn);
		}
	}

	learnName(jid, name) {
		jid = plainJid(jid);
		name = String(name ?? '')
			.replace(/[\u0000-\u001f\u007f]/g, ' ')
			.trim()
			.slice(0, 100);
		if (jid && name && this.names.get(jid) !== name) this.keep({ jid, name });
	}

	identity(jid) {
		jid = plainJid(jid);
		if (isGroup(jid)) return { jid };
		const pn = isPn(jid) ? jid : this.pnOf.get(jid);
		const lid = isLid(jid) ? jid : this.lidOf.get(jid);
		const name = this.names.get(pn) ?? this.names.get(lid);
		return { jid: pn ?? jid, ...(lid && { lid }), ...(pn && { pn }), ...(name && { name }) };
	}

	same(a, b) {
		return !!a && !!b && this.identity(a).jid === this.identity(b).jid;
	}

	// A direct chat is about to be reported under this name.
	said(jid) {
		if (isLid(jid) && !this.saidByLid.has(jid)) this.keep({ said: jid });
	}
}

// The keys of messages seen lately, by id.
export class Recent {
	constructor(dir) {
		this.journal = new Journal(path.join(dir, 'recent.jsonl'), { sync: false });
		this.keys = new Map();
	}

	open() {
		this.journal.load((o) => this.take(o));
	}

	take(o) {
		this.keys.delete(o.id);
		this.keys.set(o.id, o);
		if (this.keys.size > MAX_RECENT) this.keys.delete(this.keys.keys().next().value);
	}

	// key: Baileys' message key; text: what a quote of it shows.
	add(key, text) {
		const o = {
			id: key.id,
			chat: key.remoteJid,
			by: key.participant ?? undefined,
			mine: !!key.fromMe,
			text: text.slice(0, 200),
		};
		this.take(o);
		this.journal.append(o).catch(() => {});
		if (this.journal.lines > 3 * MAX_RECENT && !this.compacting) {
			this.compacting = true;
			this.journal
				.rewrite(() => [...this.keys.values()])
				.catch(() => {})
				.finally(() => {
					this.compacting = false;
				});
		}
	}

	get(id) {
		return this.keys.get(id);
	}
}
