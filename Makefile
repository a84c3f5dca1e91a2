# SPDX-License-Identifier: Apache-2.0
#
# Chela. `make run` on a bare Debian 12 machine installs what is missing and opens the chat;
# `make check` proves the tree; `make help` lists the rest. One file, no recursion into folders:
# sources are found by pattern, objects of each variant (release, asan, debug, fuzz) lie apart
# under build/. User settings: V=1 (show commands), WERROR=0, VARIANT=, CC=, CFLAGS=, DESTDIR=,
# PREFIX=, FUZZ_SECONDS=.

VERSION ?= 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
VARIANT ?= release
WERROR ?= 1
FUZZ_SECONDS ?= 60
PYTHON := /usr/bin/python3
B := build/$(VARIANT)

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all
ifneq ($(V),1)
Q := @
say = @printf '  %-6s %s\n' '$(1)' '$(2)'
endif

# -- Libraries. Debian's name for each lets a failure say what to install. pkg-config runs once,
# when the first compile needs it: never for `run`, `help` or `clean` on a bare machine.
PKGS := libuv libcurl libcjson sqlite3 yaml-0.1 libnghttp2 libedit libwebsockets \
	libssl libcrypto md4c glib-2.0 libpcre2-8
deb_libuv := libuv1-dev
deb_libcurl := libcurl4-openssl-dev
deb_libcjson := libcjson-dev
deb_sqlite3 := libsqlite3-dev
deb_yaml-0.1 := libyaml-dev
deb_libnghttp2 := libnghttp2-dev
deb_libedit := libedit-dev
deb_libwebsockets := libwebsockets-dev
deb_libssl := libssl-dev
deb_libcrypto := libssl-dev
deb_md4c := libmd4c-dev
deb_glib-2.0 := libglib2.0-dev
deb_libpcre2-8 := libpcre2-dev
absent = $(strip $(if $(shell command -v pkg-config),$(foreach p,$(PKGS),$(if \
	$(shell pkg-config --exists $p && echo y),,$(deb_$p))),pkg-config) \
	$(if $(wildcard /usr/include/http_parser.h),,libhttp-parser-dev) \
	$(if $(wildcard /usr/lib/*/libwebsockets-evlib_uv.so),,libwebsockets-evlib-uv))
pkg = $(if $(absent),$(error Debian packages are missing: $(absent). \
	Install them with: container/setup.sh build),$(shell pkg-config --cflags --libs $(PKGS)))
PKG = $(eval PKG := $(pkg))$(PKG)
PKG_CFLAGS = $(filter -I% -D%,$(PKG))
PKG_LIBS = $(filter -l% -L%,$(PKG)) -lhttp_parser -lm

# -- Flags.
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(VARIANT)),clang-14,gcc)
endif
CC ?= $(if $(filter fuzz,$(VARIANT)),clang-14,gcc)
AR := ar
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
	-Wpointer-arith -Wwrite-strings
ifeq ($(WERROR)$(filter fuzz,$(VARIANT)),1) # gcc's warnings are errors, clang's only show
WARN += -Werror
endif
CPPFLAGS += -D_GNU_SOURCE -DCHELA_VERSION='"$(VERSION)"' -Isrc -I. -include src/base/poison.h
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE
ifneq ($(VARIANT),fuzz) # clang 14 knows it, and refuses it without an odd flag
HARDEN += -ftrivial-auto-var-init=zero
endif
ifeq ($(shell uname -m),x86_64)
HARDEN += -fcf-protection=full
endif
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed,--gc-sections
CHELA_CFLAGS := -std=c11 -g $(WARN) $(HARDEN) -ffunction-sections -fdata-sections \
	-ffile-prefix-map=$(CURDIR)=.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
flags_release := -Os -D_FORTIFY_SOURCE=3
flags_asan := -O1 $(SANITIZE) -DCHELA_ABORT_ON_BUG
flags_ubsan := -O1 -fsanitize=undefined -fno-sanitize-recover=all -DCHELA_ABORT_ON_BUG
flags_debug := -O1 -fno-omit-frame-pointer -DCHELA_ABORT_ON_BUG
flags_fuzz := -O1 $(SANITIZE) -fsanitize=fuzzer-no-link -DCHELA_ABORT_ON_BUG
flags_cov := -O0 --coverage
ifndef flags_$(VARIANT)
$(error VARIANT=$(VARIANT) is unknown: release, asan, ubsan, debug, fuzz or cov)
endif
CHELA_CFLAGS += $(flags_$(VARIANT)) $(CFLAGS)
CHELA_LDFLAGS := $(LDHARDEN) $(filter -fsanitize=address% -fsanitize=undefined --coverage, \
	$(flags_$(VARIANT))) $(LDFLAGS)

# -- Sources. One static library a floor, in link order: an upward call does not link.
FLOORS := admin router channels gateway mcp demo warden door policy store runtime base
src_of = $(if $(filter channels,$(1)),$(wildcard channels/*.c channels/*/*.c),$(wildcard src/$(1)/*.c))
obj_of = $(patsubst %.c,$(B)/%.o,$(1))
LIBS := $(FLOORS:%=$(B)/lib%.a)
# what a unit test of floor $(1) is linked with: that floor and those below it
below_admin := $(FLOORS)
below_router := $(filter-out admin,$(FLOORS))
EDGES := channels gateway mcp demo warden door
GROUND := policy store runtime base
$(foreach f,$(EDGES),$(eval below_$f := $f $(GROUND)))
below_policy := $(GROUND)
below_store := store runtime base
below_runtime := runtime base
below_base := base

UNITS := $(foreach f,$(FLOORS),$(wildcard tests/unit/$(f)_*.c))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
RUNNER_SRC := $(wildcard container/runner*.c)
HAVE_SERVER := $(wildcard src/main.c)

.PHONY: all run check e2e asan ubsan valgrind fuzz bench lint format image setup install uninstall \
	dist clean help runner units fuzzers replay

## Build
all: $(if $(HAVE_SERVER),$(B)/chela) ## build the server (build/release/chela)
ifeq ($(HAVE_SERVER),)
all: $(LIBS)
	@echo 'chela: there is no src/main.c, so only the libraries were built'
endif

define lib
$(B)/lib$(1).a: $(call obj_of,$(call src_of,$(1)))
endef
$(foreach f,$(FLOORS),$(eval $(call lib,$f)))
$(LIBS): Makefile
	$(call say,AR,$@)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcsD $@ $(filter %.o,$^)

$(B)/%.o: %.c Makefile
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CHELA_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/src/warden/seccomp.o: container/seccomp.json
$(B)/src/router/templates.o: groups/template/CLAUDE.md groups/main/CLAUDE.md groups/global/CLAUDE.md
$(B)/src/router/skills_shipped.o: $(wildcard skills/*/SKILL.md)

$(B)/chela: $(patsubst %.c,$(B)/%.o,$(wildcard src/*.c)) $(LIBS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CHELA_CFLAGS) $(CHELA_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(PKG_LIBS)

# The runner is PID 1 of every sandbox and part of the image: static, and the same bytes each time.
runner: build/runner/runner ## build the sandbox's PID 1 (static)
build/runner/runner: $(RUNNER_SRC) $(wildcard container/runner*.h) Makefile
	$(if $(RUNNER_SRC),,$(error there is no container/runner.c))
	$(if $(wildcard /usr/include/nghttp2/nghttp2.h),,$(error Debian package is missing: \
		libnghttp2-dev. Install it with: container/setup.sh build))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)gcc -std=c11 -D_GNU_SOURCE $(WARN) -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=3 \
		-ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=. -static \
		-Wl,--build-id=none,--gc-sections,-z,noexecstack -s -o $@ $(RUNNER_SRC) -lnghttp2

image: build/runner/runner ## build the sandbox image; writes its id to build/image/image.lock
	$(Q)container/build-image.sh build/runner/runner </dev/null

# The WhatsApp bridge's packages, as the lock file names them; no script of a package runs. Node.js 22 comes
# along where the machine's own is older than 20.
BRIDGE := channels/whatsapp/bridge
.PHONY: bridge
bridge: $(BRIDGE)/node_modules/.installed ## install the WhatsApp bridge's Node packages
	@for n in $(CURDIR)/$(BRIDGE)/node/node_modules/node-linux-*/bin/node; do [ ! -x "$$n" ] || \
		echo "This machine's Node.js is too old. Set channels.whatsapp.node to $$n"; done
$(BRIDGE)/node_modules/.installed: $(BRIDGE)/package-lock.json $(BRIDGE)/node/package-lock.json
	@command -v npm >/dev/null || { echo 'npm is missing: apt-get install npm' >&2; exit 1; }
	$(Q)cd $(BRIDGE) && npm ci --ignore-scripts --no-audit --no-fund </dev/null
	$(Q)node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { \
		(cd $(BRIDGE)/node && npm ci --ignore-scripts --no-audit --no-fund </dev/null); }
	$(Q)touch $@

## Run
setup: ## install what is missing to build, run and test
	$(Q)container/setup.sh build run check </dev/null

# Set-up comes before the second make reads pkg-config. The chat gets the terminal for itself
# (set -m), so that Ctrl-C stops a turn and not make.
run: ## install what is missing, build, and chat with the agent
	@container/setup.sh build run </dev/null
	@$(MAKE) -s --no-print-directory image all </dev/null
	@if [ -t 0 ]; then set -m; fi; build/release/chela chat --serve main

# A fake platform with a page to type in, and a server that is set up for it (tests/fakes/demo.py).
DEMOS := demo-slack demo-telegram demo-whatsapp
.PHONY: demo $(DEMOS)
demo: demo-all ## all three platforms, faked, and a server that knows nobody yet: the tour in README.md
demo-slack: ## play with a faked Slack: a page to type in, and a server for it
demo-telegram: ## the same with Telegram
demo-whatsapp: ## the same with WhatsApp
$(DEMOS) demo-all: demo-%:
	@container/setup.sh build run check </dev/null
	@$(MAKE) -s --no-print-directory image all </dev/null
	@exec $(PYTHON) tests/fakes/demo.py $* </dev/null

## Prove
check: ## everything: lint, units, corpora, sanitizers, valgrind, e2e; ends with one line of counts
	@container/setup.sh build run check </dev/null
	@MAKE='$(MAKE)' $(PYTHON) tests/check.py </dev/null

e2e: all image ## the whole suite of end-to-end tests, with the long crash run
	$(Q)CHELA_LONG=1 $(PYTHON) -m pytest -q tests

asan: image ## units and e2e with ASan+UBSan
	$(Q)$(MAKE) --no-print-directory VARIANT=asan all units replay
	$(Q)$(PYTHON) tests/unit/run.py build/asan/unit
	$(Q)CHELA_BIN=build/asan/chela $(PYTHON) -m pytest -q tests

ubsan: ## units with UBSan alone (other code layout than asan)
	$(Q)$(MAKE) --no-print-directory VARIANT=ubsan units
	$(Q)$(PYTHON) tests/unit/run.py build/ubsan/unit

valgrind: ## units under valgrind
	$(Q)$(MAKE) --no-print-directory VARIANT=debug units
	$(Q)$(PYTHON) tests/unit/run.py --valgrind build/debug/unit

UNIT_BINS := $(UNITS:tests/unit/%.c=$(B)/unit/%)
units: $(UNIT_BINS) # the unit test programs of this VARIANT; tests/unit/run.py runs them
$(B)/tests/%.o: CPPFLAGS += -I$(<D)
define unit
$(B)/unit/$(2): $(B)/tests/unit/$(2).o $(patsubst %,$(B)/lib%.a,$(below_$(1)))
endef
$(foreach f,$(FLOORS),$(foreach t,$(patsubst tests/unit/%.c,%,$(wildcard tests/unit/$f_*.c)), \
	$(eval $(call unit,$f,$t))))
$(UNIT_BINS):
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CHELA_CFLAGS) $(CHELA_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(PKG_LIBS) -lcmocka

# The schedule engine as a filter; tests/schedule asks for it.
$(B)/slots_print: $(B)/tests/schedule/slots_print.o $(B)/libbase.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CHELA_CFLAGS) $(CHELA_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(PKG_LIBS)

# What the official MCP suite is run against; tests/mcp_conformance asks for it.
$(B)/mcp_server: $(B)/tests/mcp_conformance/server.o $(patsubst %,$(B)/lib%.a,mcp demo $(below_gateway))
	$(call say,LD,$@)
	$(Q)$(CC) $(CHELA_CFLAGS) $(CHELA_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(PKG_LIBS)

fuzz: ## each libFuzzer target for FUZZ_SECONDS (FUZZ=name for one of them)
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz fuzzers
	$(Q)$(PYTHON) tests/fuzz/run.py --seconds $(FUZZ_SECONDS) $(or $(FUZZ),$(FUZZERS))

fuzzers: $(FUZZERS:%=build/fuzz/bin/%)
build/fuzz/bin/%: build/fuzz/tests/fuzz/fuzz_%.o $(FLOORS:%=build/fuzz/lib%.a)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CHELA_CFLAGS) $(CHELA_LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o %.a,$^) $(PKG_LIBS)

# The same targets without clang: each corpus file once, under ASan.
replay: $(FUZZERS:%=$(B)/replay/%)
	$(Q)$(PYTHON) tests/fuzz/run.py --replay $(B)/replay $(FUZZERS)
$(FUZZERS:%=$(B)/replay/%): $(B)/replay/%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(LIBS)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CHELA_CFLAGS) $(CHELA_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(PKG_LIBS)

BENCHES := $(B)/bench/door_bench $(B)/bench/gateway_bench $(B)/bench/tasks_bench
bench: all $(BENCHES) build/bench/agent ## measure; prints a table and writes build/bench.json
	$(Q)$(MAKE) --no-print-directory image || echo 'bench: no image, so some steps will be skipped'
	$(Q)$(PYTHON) tests/bench/bench.py --out build/bench.json </dev/null
$(B)/bench/door_bench: $(patsubst %,$(B)/lib%.a,$(below_door))
$(B)/bench/gateway_bench: $(patsubst %,$(B)/lib%.a,$(below_gateway))
$(B)/bench/tasks_bench: $(patsubst %,$(B)/lib%.a,$(below_router))
$(BENCHES): $(B)/bench/%: $(B)/tests/bench/%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CHELA_CFLAGS) $(CHELA_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS)
# It runs in the sandbox's image in the agent's place: static.
build/bench/agent: tests/bench/agent.c Makefile
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)gcc -std=c11 -D_GNU_SOURCE $(WARN) -O2 -static -s -o $@ $<

lint: ## floors, sizes, formats, licences
	$(Q)$(PYTHON) tests/lint/lint.py

format: ## rewrite all C files by .clang-format
	$(Q)git ls-files -co --exclude-standard '*.[ch]' | xargs clang-format-14 -i

## Ship
SHARE := $(DESTDIR)$(PREFIX)/share/chela
LIB := $(DESTDIR)$(PREFIX)/lib
MAN := $(DESTDIR)$(PREFIX)/share/man
install: all runner ## install to DESTDIR and PREFIX
	install -D -m 755 -s build/release/chela $(DESTDIR)$(PREFIX)/bin/chela
	install -d $(SHARE)/config $(SHARE)/container $(SHARE)/groups $(SHARE)/skills \
		$(SHARE)/docs $(SHARE)/channels/whatsapp
	cp -R --preserve=mode config/. $(SHARE)/config
	cp -R --preserve=mode container/. $(SHARE)/container
	cd groups && cp --parents --preserve=mode main/CLAUDE.md global/CLAUDE.md template/CLAUDE.md $(abspath $(SHARE))/groups
	if [ -d skills ]; then cp -R --preserve=mode skills/. $(SHARE)/skills; fi
	find $(SHARE) -name __pycache__ -prune -exec rm -r {} +
	@# the bridge with its packages, if there are any: `make bridge` comes before
	rm -rf $(SHARE)/bridge && cp -R --preserve=mode $(BRIDGE) $(SHARE)/bridge
	install -m 644 docs/*.md $(SHARE)/docs
	install -m 644 channels/whatsapp/PROTOCOL.md $(SHARE)/channels/whatsapp
	install -m 755 build/runner/runner $(SHARE)/container/runner
	install -m 644 LICENSE README.md $(SHARE)
	install -d $(LIB)/systemd/system $(LIB)/sysusers.d $(MAN)/man1 $(MAN)/man5
	sed 's,/usr/local/bin/,$(PREFIX)/bin/,' systemd/chela.service >$(LIB)/systemd/system/chela.service
	install -m 644 systemd/chela.sysusers $(LIB)/sysusers.d/chela.conf
	install -m 644 man/*.1 $(MAN)/man1
	install -m 644 man/*.5 $(MAN)/man5

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/chela
	rm -rf $(SHARE)
	rm -f $(LIB)/systemd/system/chela.service $(LIB)/sysusers.d/chela.conf \
		$(patsubst man/%.1,$(MAN)/man1/%.1,$(wildcard man/*.1)) \
		$(patsubst man/%.5,$(MAN)/man5/%.5,$(wildcard man/*.5))

DIST := build/chela-$(VERSION).tar.xz
dist: ## a reproducible source archive of HEAD
	@mkdir -p build
	$(Q)git -c tar.umask=0022 archive --format=tar --prefix=chela-$(VERSION)/ HEAD | xz -9 -T1 >$(DIST)
	@sha256sum $(DIST)

clean: ## remove build/
	$(Q)rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^## /{printf "\n%s\n", substr($$0, 4)} \
		/^[a-z0-9-]+:.*## /{printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(shell [ -d $(B) ] && find $(B) -name '*.d')
