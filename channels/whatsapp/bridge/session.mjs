// SPDX-License-Identifier: Apache-2.0
// One WhatsApp session: its states, its come-backs, what arrives. Why: Baileys ends its socket for
// many reasons that mean different things, and a bridge that guesses wrong loops, goes deaf or has
// to be linked again. Must never: end the process, or tell an event before it is on disk.
import { log } from './log.mjs';
import { Mapper } from './map.mjs';
import { plainJid, isLid, isPn } from './people.mjs';

const WORDS = {
	401: 'logged out: the device was removed from the account',
	403: 'WhatsApp refuses this account',
	405: 'WhatsApp refuses this version of its client',
	408: 'connection lost',
	411: 'multi-device mismatch',
	428: 'connection closed',
	440: 'another program uses the same session',
	500: 'bad session',
	503: 'WhatsApp is unavailable',
	515: 'restart required',
};
const BASE_MS = 1000;
const MOST_MS = 300_000;
const CONFLICT_MS = 600_000;
const STABLE_MS = 30_000;
const WATCH_MS = 90_000;
const BAD_SESSIONS = 5;

// 408 is both: the codes were shown and nobody took one, or there was no network to get one by.
function whyNotLinked({ phone, n }, code, text, words = '') {
	const failed = words.match(/^WebSocket Error \((.*)\)$/);
	if (failed || (code === 408 && (!n || words === 'Connection was lost'))) {
		const why = failed ? failed[1].replace(/^undefined$/, '') : words;
		return `no connection to WhatsApp${why && ': '}${why}`;
	}
	if (code !== 408) return text;
	return phone ? 'nobody typed the code in time' : 'nobody scanned it in time';
}

export class Session {
	// parts: {keys, socket, people, recent, sent, spool, media}; tell(event): an event that is not
	// kept; speed: divides all waits (tests).
	constructor(parts, { tell, drawQr, speed = 1 }) {
		Object.assign(this, parts, { tell, drawQr, speed });
		this.groups = new Map();
		this.acks = new Map();
		this.tries = 0;
		this.badSessions = 0;
		this.gen = 0;
		this.now = { state: 'unlinked' };
		this.mapper = new Mapper({
			people: this.people,
			me: () => this.me(),
			subject: (jid) => this.groups.get(jid)?.subject ?? '',
			ours: (id) => this.sent.ours.has(id),
		});
		this.people.onMoved = (lid, pn) =>
			this.keep({
				type: 'moved',
				id: `moved-${lid.split('@')[0]}-${pn.split('@')[0]}`,
				from: lid,
				to: this.people.identity(pn),
				ts: Date.now(),
			});
		this.spool.onFull = (full) =>
			this.pause(full, 'the spool is full: Chela does not take events');
	}

	// ---- state

	me() {
		const me = this.keys.me();
		if (!me?.id) return null;
		const ids = [plainJid(me.id), plainJid(me.lid)];
		return { pn: ids.find(isPn), lid: ids.find(isLid), name: me.name };
	}

	meIdentity() {
		const me = this.me();
		if (!me) return undefined;
		return {
			...this.people.identity(me.pn ?? me.lid),
			...(me.lid && { lid: me.lid }),
			...(me.name && me.name !== '~' && { name: me.name }),
		};
	}

	told() {
		const me = ['unlinked', 'linking', 'logged_out'].includes(this.now.state)
			? undefined
			: this.meIdentity();
		const { until, ...now } = this.now;
		return {
			type: 'state',
			...now,
			...(until && { retry_ms: Math.max(0, until - Date.now()) }),
			...(me && { me }),
		};
	}

	become(state, { code, text, retryMs } = {}) {
		this.now = {
			state,
			...(code && { code }),
			...(text && { text }),
			...(retryMs !== undefined && { until: Date.now() + retryMs }),
		};
		log(state === 'up' || state === 'connecting' ? 'info' : 'warn', 'state', {
			state,
			code,
			text,
			retry_ms: retryMs && Math.round(retryMs),
		});
		this.tell({ ...this.told(), ...(retryMs !== undefined && { retry_ms: retryMs }) });
	}

	start() {
		if (this.spool.full) this.become('paused', { text: 'the spool is full' });
		else if (this.keys.linked()) this.connect();
		else this.become('unlinked', { text: 'no account is linked yet' });
	}

	// ---- the socket

	connect(linking = null) {
		const gen = ++this.gen;
		clearTimeout(this.timer);
		this.linking = linking;
		this.become(linking ? 'linking' : 'connecting');
		const { state, save } = this.keys.load();
		let sock;
		try {
			sock = this.socket.open({
				auth: state,
				version: this.version,
				contentOf: (id) => this.sent.contents.get(id),
				groupOf: (jid) => this.groups.get(jid)?.participants && this.groups.get(jid),
			});
		} catch (e) {
			log('error', 'cannot open', { err: e.message });
			return this.retry(0, e.message);
		}
		this.sock = sock;
		// Baileys holds events back for up to 20 s while it catches up, after it has told WhatsApp
		// that they have arrived. What it holds would be lost by a kill, so it is taken at the
		// moment of its birth.
		const emit = sock.ev.emit;
		sock.ev.emit = (name, data) => {
			if (gen === this.gen || name === 'creds.update')
				this.onEvent(name, data, { state, save, gen });
			return emit.call(sock.ev, name, data);
		};
		sock.ws?.on?.('CB:ack,class:message', (node) =>
			this.acks.get(node?.attrs?.id)?.(node.attrs),
		);
		if (!linking)
			this.timer = setTimeout(
				() => this.onClose(408, 'no connection within 90 s'),
				WATCH_MS / this.speed,
			);
		return undefined;
	}

	onEvent(name, data, { state, save, gen }) {
		try {
			if (name === 'creds.update') {
				Object.assign(state.creds, data);
				save();
			} else if (name === 'connection.update') {
				this.onConnection(data, gen);
			} else if (name === 'messages.upsert') {
				for (const wm of data.messages) this.onMessage(wm, data.type);
			} else {
				this.onOther(name, data);
			}
		} catch (e) {
			log('error', 'an event broke', { name, err: e.message });
		}
	}

	onConnection(u, gen) {
		if (u.qr && this.linking) this.onQr(u.qr, gen);
		if (u.isNewLogin) {
			this.linking = null;
			log('info', 'linked');
		}
		if (u.connection === 'open') {
			clearTimeout(this.timer);
			this.linking = null;
			this.badSessions = 0;
			this.upSince = Date.now();
			const me = this.me();
			if (me?.pn && me.lid) this.people.learn(me.pn, me.lid);
			this.become('up');
			this.learnGroups(gen);
		} else if (u.connection === 'close') {
			const error = u.lastDisconnect?.error;
			this.onClose(error?.output?.statusCode ?? 0, error?.message);
		}
	}

	drop() {
		this.gen++;
		clearTimeout(this.timer);
		const sock = this.sock;
		this.sock = null;
		for (const done of this.acks.values()) done({ lost: true });
		try {
			Promise.resolve(sock?.end?.(undefined)).catch(() => {});
		} catch {
			/* it had ended */
		}
	}

	onClose(code, words) {
		const linking = this.linking;
		this.drop();
		const text = WORDS[code] ?? words ?? 'connection closed';
		if (Date.now() - (this.upSince ?? Date.now()) > STABLE_MS / this.speed) this.tries = 0;
		this.upSince = undefined;
		if (code === 500) this.badSessions++;
		if (linking) return this.notLinked(whyNotLinked(linking, code, text, words), code);
		if (code === 401 || this.badSessions >= BAD_SESSIONS) {
			this.keys.setAside();
			this.badSessions = 0;
			return this.become('logged_out', { code, text });
		}
		if (code === 403 || code === 411) return this.become('forbidden', { code, text });
		if (code === 440) return this.later('conflict', CONFLICT_MS, code, text);
		if (code === 515 && this.tries < 3) {
			this.tries++;
			return this.later('retrying', 0, code, text);
		}
		return this.retry(code, text);
	}

	retry(code, text) {
		const most = Math.min(MOST_MS, BASE_MS * 2 ** Math.min(this.tries++, 20));
		this.later('retrying', most * (0.5 + Math.random() / 2), code, text);
		if (code === 405)
			// Baileys' built-in version of the client is too old
			this.socket.freshVersion().then(
				(v) => {
					this.version = v;
				},
				(e) => log('warn', 'no newer version', { err: e.message }),
			);
	}

	later(state, ms, code, text) {
		ms = Math.round(ms / this.speed);
		this.become(state, { code, text, retryMs: ms });
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.connect(), ms);
	}

	pause(yes, text) {
		if (yes && !['unlinked', 'linking', 'logged_out', 'forbidden'].includes(this.now.state)) {
			this.drop();
			this.become('paused', { text });
		} else if (!yes && this.now.state === 'paused' && !this.spool.full) {
			this.connect();
		}
	}

	stop() {
		this.drop();
	}

	// ---- linking

	// Returns the state, or throws words for a person.
	async link(phone, force) {
		const { state } = this.now;
		if (state === 'conflict' || state === 'forbidden') {
			this.drop();
			this.connect();
			return this.now.state;
		}
		if (!['unlinked', 'logged_out', 'linking'].includes(state)) {
			if (!force) throw new Error(`an account is linked already (${state})`);
			await this.logout();
		}
		this.drop();
		this.keys.setAside(); // half a link is of no use
		this.tries = 0;
		this.connect({ phone, n: 0 });
		return this.now.state;
	}

	onQr(qr, gen) {
		const link = this.linking;
		link.n++;
		if (!link.phone) {
			const ttl = link.n === 1 ? 60_000 : 20_000;
			return this.drawQr(
				qr,
				(text) =>
					gen === this.gen && this.tell({ type: 'qr', qr, text, n: link.n, ttl_ms: ttl }),
			);
		}
		if (link.n > 1)
			// one code serves until the QR codes have run out
			return undefined;
		return this.sock.requestPairingCode(link.phone).then(
			(code) =>
				gen === this.gen &&
				this.tell({ type: 'pairing', code, phone: link.phone, ttl_ms: 160_000 }),
			(e) => {
				if (gen === this.gen) {
					this.drop();
					this.notLinked(`no pairing code: ${e.message}`, e?.output?.statusCode);
				}
			},
		);
	}

	notLinked(text, code) {
		this.linking = null;
		this.keys.clear();
		this.become('unlinked', { code, text });
	}

	async logout() {
		const sock = this.sock;
		this.gen++; // what the socket says from here on is known
		if (sock && this.now.state === 'up') {
			try {
				await sock.logout();
			} catch (e) {
				log('warn', 'logout', { err: e.message });
			}
		}
		this.drop();
		this.keys.clear();
		this.become('unlinked', { text: 'logged out' });
	}

	// ---- what arrives

	keep(event) {
		this.spool
			.append(event)
			.catch((e) => log('error', 'an event was not kept', { err: e.message }));
	}

	onMessage(wm, type) {
		const found = this.mapper.message(wm, type);
		if (!found) return;
		const { event, media } = found;
		if (media) this.media.keepRef(...media);
		if (!event.chat.group) this.people.said(event.chat.jid);
		else if (!this.groups.get(event.chat.jid)?.subject)
			this.group(event.chat.jid).catch(() => {});
		if (event.type === 'message') this.recent.add(wm.key, event.text);
		this.keep(event);
	}

	onOther(name, data) {
		if (name === 'lid-mapping.update') {
			this.people.learn(data.lid, data.pn);
		} else if (name === 'contacts.upsert' || name === 'contacts.update') {
			for (const c of data) this.learnPerson(c);
		} else if (name === 'groups.upsert' || name === 'groups.update') {
			for (const g of data) this.learnGroup(g);
		} else if (name === 'group-participants.update') {
			const known = this.groups.get(data.id);
			if (known) this.groups.set(data.id, { id: data.id, subject: known.subject });
			for (const p of data.participants)
				this.learnPerson(typeof p === 'string' ? { id: p } : p);
		} else if (name === 'messaging-history.set') {
			for (const m of data.lidPnMappings ?? []) this.people.learn(m.lid, m.pn);
		}
	}

	learnPerson(c) {
		this.people.learn(c.lid ?? c.id, c.phoneNumber ?? c.id);
		this.people.learnName(c.id, c.notify ?? c.name ?? c.verifiedName);
	}

	learnGroup(g) {
		if (!g?.id) return;
		const known = this.groups.get(g.id);
		this.groups.set(g.id, { ...known, ...g });
		for (const p of g.participants ?? []) this.learnPerson(p);
		if (g.subject && g.subject !== known?.subject)
			this.tell({ type: 'group', jid: g.id, subject: g.subject });
		if (this.groups.size > 5000) this.groups.delete(this.groups.keys().next().value);
	}

	learnGroups(gen) {
		this.sock
			.groupFetchAllParticipating()
			.then((all) => {
				if (gen === this.gen) for (const g of Object.values(all)) this.learnGroup(g);
			})
			.catch((e) => log('warn', 'the list of groups', { err: e.message }));
	}

	// A group's metadata, asked for when it is not known.
	async group(jid) {
		const known = this.groups.get(jid);
		if (known?.participants) return known;
		this.asking ??= new Map();
		if (!this.asking.has(jid))
			this.asking.set(
				jid,
				this.sock
					.groupMetadata(jid)
					.then((g) => this.learnGroup(g))
					.finally(() => this.asking.delete(jid)),
			);
		await this.asking.get(jid);
		return this.groups.get(jid);
	}
}
