// SPDX-License-Identifier: Apache-2.0
/*
 * YAML text to a tree. libyaml's events are taken one by one (its own document loader resolves
 * aliases, which is how a small file becomes a large one). Whatever a config has no use for is
 * refused: anchors, aliases, tags, several documents, keys that are not plain text, duplicates.
 */
#include "base/fd.h"
#include "base/yaml.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>
#include "base/str.h"
#include "base/yaml_tree.h"

#define SIZE_CAP  ((size_t)256 << 10)
#define DEPTH_CAP 16
#define ITEMS_CAP 4096 /* of one list or map: the search for duplicate keys is a plain one */

struct builder {
	const char *text; /* all of it, n bytes */
	size_t n;
	struct yaml *y;
	struct yaml_node *at; /* the open list or map */
	char *key;	      /* of the map value that comes next */
	int key_line;
	int depth;
	bool done; /* the root is complete */
};

static int line_of(const yaml_event_t *ev)
{
	return (int)ev->start_mark.line + 1;
}

static void node_free(struct yaml_node *n)
{
	struct yaml_asked *next;

	if (!n)
		return;
	for (size_t i = 0; i < n->len; i++)
		node_free(n->items[i]);
	for (struct yaml_asked *a = n->asked; a; a = next) {
		next = a->next;
		free(a);
	}
	free(n->items);
	free(n->key);
	free(n->text);
	free(n);
}

void yaml_tree_free(struct yaml *y)
{
	if (!y)
		return;
	node_free(y->root);
	free(y->name);
	free(y);
}

static int add_to_parent(struct builder *b, struct yaml_node *n, int line, struct err *e)
{
	struct yaml_node *p = b->at;

	if (p->len == ITEMS_CAP)
		return err_set(e, E_INVAL, "%s:%d: more than %d items", b->y->name, line,
			       ITEMS_CAP);
	if (p->len == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 8;
		p->items = xrealloc(p->items, p->cap * sizeof(*p->items));
	}
	p->items[p->len++] = n;
	return 0;
}

/* Hangs a new node into the tree; takes the pending key. */
static struct yaml_node *node_add(struct builder *b, enum yaml_type type, int line, struct err *e)
{
	struct yaml_node *n = xcalloc(1, sizeof(*n));

	n->file = b->y;
	n->type = type;
	n->line = b->key ? b->key_line : line;
	n->parent = b->at;
	n->key = steal_ptr(&b->key);
	if (!b->at) {
		b->y->root = n;
		b->done = true;
	} else if (add_to_parent(b, n, line, e)) {
		node_free(n);
		return NULL;
	}
	return n;
}

static int take_key(struct builder *b, const yaml_event_t *ev, struct err *e)
{
	const char *text = (const char *)ev->data.scalar.value;

	if (!*text)
		return err_set(e, E_INVAL, "%s:%d: a key is empty", b->y->name, line_of(ev));
	for (size_t i = 0; i < b->at->len; i++) {
		if (streq(b->at->items[i]->key, text))
			return err_set(e, E_INVAL,
				       "%s:%d: %.64s: key appears twice (first on line %d)",
				       b->y->name, line_of(ev), text, b->at->items[i]->line);
	}
	b->key = xstrdup(text);
	b->key_line = line_of(ev);
	return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *ev, struct err *e)
{
	const char *text = (const char *)ev->data.scalar.value;
	struct yaml_node *n;

	if (memchr(text, '\0', ev->data.scalar.length))
		return err_set(e, E_INVAL, "%s:%d: a NUL character", b->y->name, line_of(ev));
	if (b->at && b->at->type == YAML_MAP && !b->key)
		return take_key(b, ev, e);
	n = node_add(b, YAML_SCALAR, line_of(ev), e);
	if (!n)
		return -1;
	n->text = xstrdup(text);
	n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return 0;
}

static int on_open(struct builder *b, enum yaml_type type, const yaml_event_t *ev, struct err *e)
{
	struct yaml_node *n;

	if (b->at && b->at->type == YAML_MAP && !b->key)
		return err_set(e, E_INVAL, "%s:%d: a key must be plain text", b->y->name,
			       line_of(ev));
	if (++b->depth > DEPTH_CAP)
		return err_set(e, E_INVAL, "%s:%d: nested deeper than %d", b->y->name, line_of(ev),
			       DEPTH_CAP);
	n = node_add(b, type, line_of(ev), e);
	if (!n)
		return -1;
	b->at = n;
	return 0;
}

static void on_close(struct builder *b)
{
	b->at = b->at->parent;
	b->depth--;
}

/* Anchors and tags: allowed nowhere. */
static int refuse_extras(const struct builder *b, const yaml_event_t *ev, const void *anchor,
			 const void *tag, struct err *e)
{
	if (anchor)
		return err_set(e, E_INVAL, "%s:%d: anchors (&name) are not supported", b->y->name,
			       line_of(ev));
	if (tag)
		return err_set(e, E_INVAL, "%s:%d: tags (!name) are not supported", b->y->name,
			       line_of(ev));
	return 0;
}

static int on_event(struct builder *b, const yaml_event_t *ev, struct err *e)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		if (refuse_extras(b, ev, ev->data.scalar.anchor, ev->data.scalar.tag, e))
			return -1;
		return on_scalar(b, ev, e);
	case YAML_SEQUENCE_START_EVENT:
		if (refuse_extras(b, ev, ev->data.sequence_start.anchor,
				  ev->data.sequence_start.tag, e))
			return -1;
		return on_open(b, YAML_LIST, ev, e);
	case YAML_MAPPING_START_EVENT:
		if (refuse_extras(b, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag,
				  e))
			return -1;
		return on_open(b, YAML_MAP, ev, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_close(b);
		return 0;
	case YAML_ALIAS_EVENT:
		return err_set(e, E_INVAL, "%s:%d: aliases (*name) are not supported", b->y->name,
			       line_of(ev));
	case YAML_DOCUMENT_START_EVENT:
		if (b->done)
			return err_set(e, E_INVAL, "%s:%d: more than one document", b->y->name,
				       line_of(ev));
		return 0;
	default: /* the ends of document and stream carry nothing */
		return 0;
	}
}

/* Whether that line is indented by a tab, which YAML forbids and its parser cannot say in plain words. */
static bool tab_leads(const char *text, size_t n, size_t line)
{
	const char *p = text, *end = text + n;

	while (line-- && p && p < end) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : end;
	}
	while (p < end && *p == ' ')
		p++;
	return p < end && *p == '\t';
}

static int build(struct builder *b, yaml_parser_t *parser, struct err *e)
{
	for (bool end = false; !end;) {
		yaml_event_t ev;
		int rc;

		if (!yaml_parser_parse(parser, &ev))
			return err_set(e, E_INVAL, "%s:%zu: %s%s%s%s", b->y->name,
				       parser->problem_mark.line + 1,
				       parser->problem ? parser->problem : "malformed",
				       parser->context ? " " : "",
				       parser->context ? parser->context : "",
				       tab_leads(b->text, b->n, parser->problem_mark.line)
					       ? " (a tab: write blanks)"
					       : "");
		end = ev.type == YAML_STREAM_END_EVENT;
		rc = on_event(b, &ev, e);
		yaml_event_delete(&ev);
		if (rc)
			return -1;
	}
	return 0;
}

/* A file of comments only is an empty map, so that every setting takes its default. */
static void settle_root(struct builder *b)
{
	struct yaml_node *r = b->y->root;

	if (r && !yaml_is_null(r))
		return;
	node_free(r);
	b->at = NULL;
	b->y->root = xcalloc(1, sizeof(*r));
	b->y->root->file = b->y;
	b->y->root->type = YAML_MAP;
	b->y->root->line = 1;
}

struct yaml *yaml_parse(const char *text, size_t n, const char *name, struct err *e)
{
	_cleanup_yaml_ struct yaml *y = xcalloc(1, sizeof(*y));
	struct builder b = {.y = y, .text = text, .n = n};
	yaml_parser_t parser;
	int rc;

	y->name = xstrdup(name);
	if (n > SIZE_CAP) {
		err_set(e, E_INVAL, "%s: larger than %zu KiB", name, SIZE_CAP >> 10);
		return NULL;
	}
	if (!yaml_parser_initialize(&parser))
		die("out of memory");
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
	rc = build(&b, &parser, e);
	yaml_parser_delete(&parser);
	free(b.key);
	if (rc)
		return NULL;
	settle_root(&b);
	y->root->known = true;
	return steal_ptr(&y);
}

struct yaml *yaml_load(const char *file, struct err *e)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st)) {
		err_sys(e, errno, "cannot open %s", file);
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, E_INVAL, "%s is not a regular file", file);
		return NULL;
	}
	text = xmalloc(SIZE_CAP + 1); /* one more, so that too much is seen as such */
	n = fd_read_all(fd, text, SIZE_CAP + 1);
	if (n < 0) {
		err_sys(e, errno, "cannot read %s", file);
		return NULL;
	}
	return yaml_parse(text, (size_t)n, file, e);
}
