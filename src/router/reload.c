// SPDX-License-Identifier: Apache-2.0
/* The router's own sections of the configuration, read anew. All are checked before the first is taken. */
#include "router/impl.h"
#include "router/attach.h"
#include "router/retention.h"
#include "router/settings.h"

int router_reload(struct router *r, struct err *e)
{
	struct retention_settings keep;
	struct files_settings files;
	struct people_settings people;

	if (people_settings_load(r->o.cfg, &people, e) < 0 ||
	    retention_settings_load(r->o.cfg, &keep, e) < 0 ||
	    files_settings_load(r->o.cfg, &files, e) < 0)
		return -1;
	if (settings_open(r, r->o.cfg, e) < 0) {
		files_settings_free(&files);
		return -1;
	}
	files_settings_free(&r->attach->set);
	r->attach->set = files;
	r->people = people;
	retention_set(r->retention, &keep);
	return 0;
}
