// SPDX-License-Identifier: Apache-2.0
/* Frames of the WhatsApp bridge: the form, then the event in it; and base64, which must come back as it went. */
#include <string.h>
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"
#include "fuzz.h"

static const struct wa_state me = {.me = "4990@s.whatsapp.net", .me_lid = "990@lid"};

static void check_jid(const char *s)
{
	fuzz_check(*s && strlen(s) < WA_JID_CAP);
	for (; *s; s++)
		fuzz_check(*s > 0x20 && *s < 0x7f);
}

static void check_inbound(const struct inbound *in)
{
	check_jid(in->chat);
	check_jid(in->sender);
	check_jid(in->id);
	fuzz_check(in->chat_title && in->sender_name && in->sender_alt && in->thread && in->quote);
	fuzz_check(in->text && strlen(in->text) == in->text_len);
	fuzz_check(in->n_files <= WA_FILES_MAX && in->sent_ms >= 0);
	for (size_t i = 0; i < in->n_files; i++)
		fuzz_check(strlen(in->files[i].ref) == 64 && in->files[i].size >= -1);
}

static void check_event(const cJSON *j)
{
	struct err e = ERR_INIT;
	struct wa_event ev;
	char reason[512];

	if (wa_parse_event(j, &me, &ev, &e) == 0) {
		if (ev.kind == WA_INBOUND)
			check_inbound(&ev.in);
		if (ev.kind == WA_MOVED) {
			check_jid(ev.from);
			check_jid(ev.to);
		}
		if (ev.kind == WA_STATE) {
			wa_channel_state(&ev.state, reason, sizeof(reason));
			fuzz_check(ev.state.retry_ms >= 0);
		}
		if (ev.kind == WA_QR || ev.kind == WA_PAIRING)
			fuzz_check(ev.show);
	} else {
		fuzz_check(e.code != E_NONE);
	}
	wa_event_free(&ev);
}

static void check_base64(const uint8_t *data, size_t n)
{
	_cleanup_free_ char *text = base64_encode(data, n), *raw = xstrndup((const char *)data, n);
	_cleanup_free_ uint8_t *back = xmalloc(n + 1);

	fuzz_check(base64_decode(text, back, n) == (ssize_t)n && memcmp(back, data, n) == 0);
	fuzz_check(base64_decode(raw, back, n) <= (ssize_t)n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = NULL;
	struct wa_frame f;

	if (n == 0)
		return 0;
	check_base64(data, n);
	j = json_parse((const char *)data, n, WA_FRAME_MAX, &e);
	if (!j)
		return 0;
	check_event(j);
	if (wa_parse_frame(j, &f, &e) < 0)
		return 0;
	if (f.kind == WA_EVENT)
		check_event(f.body);
	if (f.kind == WA_REPLY || f.kind == WA_REFUSAL)
		fuzz_check(f.id && (f.ok || f.fail.why.code != E_NONE));
	return 0;
}
