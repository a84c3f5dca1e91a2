// SPDX-License-Identifier: Apache-2.0
// Log lines on standard error, in logfmt like Chela's own. Why: standard output is the parent's.
// Must never: write message texts, keys or the token. Baileys' own log is let through as words
// only, since its objects hold keys and plain messages.

const quote = (v) => {
	const s = String(v)
		.replace(/[\u0000-\u001f\u007f]/g, ' ')
		.slice(0, 300);
	return /^[\w.:@/+-]+$/.test(s) ? s : JSON.stringify(s);
};

export function log(level, what, fields = {}) {
	let line = `${new Date().toISOString()} ${level} whatsapp-bridge ${what}`;
	for (const [k, v] of Object.entries(fields))
		if (v !== undefined && v !== '') line += ` ${k}=${quote(v)}`;
	process.stderr.write(line + '\n');
}

// A logger of the shape that Baileys wants. Its `level` keeps it from building trace objects.
export function quietLogger() {
	const nothing = () => {};
	const say = (level) => (obj, msg) => {
		const words = typeof obj === 'string' ? obj : msg;
		const why = obj?.err?.message ?? obj?.error?.message ?? obj?.trace?.split?.('\n')[0];
		log(level, 'baileys', { msg: words ?? '', err: why ?? '' });
	};
	return {
		level: 'warn',
		child: quietLogger,
		trace: nothing,
		debug: nothing,
		info: nothing,
		warn: say('warn'),
		error: say('error'),
		fatal: say('error'),
	};
}
