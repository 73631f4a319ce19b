# Reyearn: text classification inside PostgreSQL.
#
#   make deps       install what is missing          make             build
#   make install    into PG_CONFIG's PostgreSQL      make installcheck  SQL tests on a running server
#   make check      everything, on private servers   make check-KIND    one of: unit unit-asan regress isolation tap
#   make unit       the core alone, no PostgreSQL    make unit-asan     the same under sanitizers
#   make demo, make bench, make format, make format-check, make clean

EXTENSION   = reyearn
MODULE_big  = reyearn

# src/core/ is a library that knows nothing of PostgreSQL; src/pg/ is the boundary and becomes reyearn.so with it.
CORE_SRCS  := $(sort $(shell find src/core -name '*.cpp'))
CORE_LIB    = build/plain/libreyearn_core.a
OBJS        = $(patsubst %.cpp,%.o,$(sort $(wildcard src/pg/*.cpp)))
UNIT_SRCS   = $(sort $(wildcard test/unit/*.cpp))

DATA_built  = sql/reyearn--1.0.sql
DATA        = $(wildcard sql/reyearn--*--*.sql)    # upgrade scripts

# The other files in sql/ are tests; "install", which creates the extension, comes first.
SQL_TESTS   = $(filter-out reyearn--%,$(basename $(notdir $(sort $(wildcard sql/*.sql)))))
REGRESS     = $(filter install,$(SQL_TESTS)) $(filter-out install,$(SQL_TESTS))
ISOLATION   = $(basename $(notdir $(sort $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test
TAP_TESTS   = 1                         # needs Perl's IPC::Run
# The longest first: two run at a time.
PROVE_TESTS ?= test/t/03*.pl test/t/0[0-24-9]*.pl

# Portable by default; make OPTFLAGS="-O3 -march=native" for this machine alone.
OPTFLAGS   ?= -O3
# Warnings are errors in CI, not in a user's build.
WERROR     ?= $(CI)
# NDEBUG: a failing assert in a backend would restart the whole server; the sanitizer build keeps asserts.
# -Wno-restrict: GCC 12 is wrong about std::string (its bug 105651).
CXX_COMMON  = -std=c++20 $(OPTFLAGS) -DNDEBUG -fvisibility=hidden -pthread -Isrc \
              -Wall -Wextra -Wno-restrict $(if $(filter-out 0,$(WERROR)),-Werror) -MMD -MP
CORE_CXXFLAGS = $(CXX_COMMON) -fPIC -g $(SANITIZE)
SANITIZE    =    # build/asan sets it, below
CORE_LIBS   = -licui18n -licuuc

# -isystem: no warnings from PostgreSQL's own headers. PGDLLEXPORT is empty before PostgreSQL 16.
PG_CPPFLAGS = -isystem $(includedir_server) '-DPGDLLEXPORT=__attribute__((visibility("default")))'
PG_CXXFLAGS = $(CXX_COMMON)
SHLIB_LINK  = $(CORE_LIB) $(CORE_LIBS) $(LOGIN_LIBS) -lstdc++ -pthread    # PGXS links with the C compiler
EXTRA_CLEAN = build $(OBJS:.o=.d)

override with_llvm := no    # PGXS compiles bitcode without our -std, and JIT inlining would gain nothing here
PG_CONFIG  ?= pg_config

MAKEFLAGS  += --no-print-directory    # the make that a script calls need not announce itself

# The scripts in test/ read these. REYEARN_DATA: larger data sets; tests that need them are skipped without.
REYEARN_DATA    ?= $(realpath ../shared/data)
REYEARN_SAMPLES ?= $(CURDIR)/test/data
export PG_CONFIG REGRESS ISOLATION PROVE_TESTS REYEARN_DATA REYEARN_SAMPLES

# These goals start on a machine that may not have pg_config yet: they install what is missing, then call make
# again for the rest. So they leave PGXS out, which besides has a "check" of its own that only prints a refusal.
BOOTSTRAP   = deps deps-build check check-% soak demo bench
ifneq ($(filter $(BOOTSTRAP),$(MAKECMDGOALS)),)

deps:
	test/deps.sh check
deps-build:
	test/deps.sh build

check:
	+test/check.sh
check-%:
	+test/check.sh $*
# A hundred rounds of what `make check` has three and thirty of: crashes under load, workers ended while they train.
soak:
	+REYEARN_SOAK_ROUNDS=$(or $(ROUNDS),100) PROVE_TESTS='test/t/033_ledger.pl test/t/032*.pl' test/check.sh tap

demo bench:
	test/deps.sh $(if $(filter bench,$@),bench,build)
	+test/install.sh
	+test/$@/run

# Goals named beside them, as in "make clean check", run one after the other also with -j.
$(filter-out $(BOOTSTRAP),$(MAKECMDGOALS)):
	$(MAKE) $@
.NOTPARALLEL:

else

# Tokens (reyearn_login) are verified with OpenSSL. make WITH_OPENSSL=0: without; by default if it is there.
ifndef WITH_OPENSSL
WITH_OPENSSL := $(shell echo '\#include <openssl/evp.h>' | $(CXX) -E -x c++ - >/dev/null 2>&1 && echo 1 || echo 0)
endif
LOGIN_LIBS  = $(if $(filter-out 0,$(WITH_OPENSSL)),-lcrypto)

PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifdef PGXS
include $(PGXS)
$(shlib) $(OBJS): Makefile
$(shlib): $(CORE_LIB)
src/pg/es256.o: override CPPFLAGS += -DREYEARN_WITH_OPENSSL=$(WITH_OPENSSL)
src/pg/es256.o $(shlib): build/with_openssl
else
all install installcheck clean:
	@echo 'PostgreSQL server headers not found: run "make deps" or set PG_CONFIG.' >&2; exit 1
endif

# Written when the choice changes: what depends on it is then built anew.
build/with_openssl: FORCE
	@mkdir -p $(@D)
	@echo $(WITH_OPENSSL) | cmp -s - $@ || echo $(WITH_OPENSSL) >$@

# The directory is a prerequisite so that a deleted or renamed part counts as a change.
sql/reyearn--1.0.sql: sql/install $(wildcard sql/install/*.sql)
	{ printf '%s\n' '\echo Use "CREATE EXTENSION reyearn" to load this file. \quit'; \
	  cat $(sort $(filter %.sql,$^)); } >$@.tmp
	mv $@.tmp $@

# The core and its unit tests, twice: build/plain is what ships, build/asan runs under the sanitizers.
PLAIN_CORE = $(CORE_SRCS:%.cpp=build/plain/%.o)
PLAIN_UNIT = $(UNIT_SRCS:%.cpp=build/plain/%.o)
ASAN_CORE  = $(PLAIN_CORE:build/plain/%=build/asan/%)
ASAN_UNIT  = $(PLAIN_UNIT:build/plain/%=build/asan/%)
build/asan/%: SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
                         -O1 -UNDEBUG -D_GLIBCXX_ASSERTIONS

$(PLAIN_UNIT): OPTFLAGS = -O1    # compiling the tests takes longer than running them

$(PLAIN_CORE) $(PLAIN_UNIT): build/plain/%.o: %.cpp Makefile
	@mkdir -p $(@D)
	$(CXX) $(CORE_CXXFLAGS) -c -o $@ $<
$(ASAN_CORE) $(ASAN_UNIT): build/asan/%.o: %.cpp Makefile
	@mkdir -p $(@D)
	$(CXX) $(CORE_CXXFLAGS) -c -o $@ $<

build/plain/libreyearn_core.a: $(PLAIN_CORE)
build/asan/libreyearn_core.a: $(ASAN_CORE)
build/plain/libreyearn_core.a build/asan/libreyearn_core.a:
	rm -f $@
	$(AR) crs $@ $^

build/plain/unit: $(PLAIN_UNIT) build/plain/libreyearn_core.a
build/asan/unit: $(ASAN_UNIT) build/asan/libreyearn_core.a
build/plain/unit build/asan/unit:
	$(CXX) $(CORE_CXXFLAGS) -o $@ $^ $(CORE_LIBS) -lgtest_main -lgtest

# The library without the checks of tenants.cpp, for the test that proves that the tests would notice.
unchecked: build/unchecked/reyearn.so
build/unchecked/tenants.o: src/pg/tenants.cpp Makefile
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(CPPFLAGS) -DREYEARN_UNCHECKED -c -o $@ $<
build/unchecked/reyearn.so: build/unchecked/tenants.o $(shlib)
	$(CXX) -shared -o $@ $(filter-out src/pg/tenants.o,$(OBJS)) $< $(LDFLAGS) $(LDFLAGS_SL) $(SHLIB_LINK)

unit: build/plain/unit
	$<
unit-asan: build/asan/unit
	UBSAN_OPTIONS=print_stacktrace=1 $<

CLANG_FORMAT ?= clang-format
format:
	find src test -name '*.[ch]pp' | xargs $(CLANG_FORMAT) -i
format-check:
	find src test -name '*.[ch]pp' | xargs $(CLANG_FORMAT) --dry-run -Werror

# -MMD wrote beside each object which headers it includes; PGXS does not track them.
-include $(OBJS:.o=.d) $(wildcard build/unchecked/*.d) $(patsubst %.o,%.d,$(PLAIN_CORE) $(PLAIN_UNIT) $(ASAN_CORE) $(ASAN_UNIT))

endif

.PHONY: FORCE deps deps-build check soak demo bench unit unit-asan unchecked format format-check
