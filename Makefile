# Every target prepares what it needs first (scripts/set-up.sh); the work itself is defined once, in package.json.
# A Node in .node/ (put there when the machine's own is too old) comes first on the PATH.
export PATH := $(CURDIR)/.node/node_modules/.bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help run test test-git test-release check build gen packages proto-packages archive deb bench release-check soak set-up fix

help: ## Show this list
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 23

run: ## Start a server with a smart-HTTP gateway and a hello.git to clone; Ctrl-C ends it
	@scripts/set-up.sh build
	@exec npm run --silent up

test: ## Run the tests of the code, or of a folder in src/: make test MODULE=git/diff
	@scripts/set-up.sh build
	@npm run --silent test -- $(if $(MODULE),"--module=$(MODULE)")

test-git: ## Run the tests that depend on git, with the git on the PATH
	@scripts/set-up.sh build
	@npm run --silent test:git

test-release: ## Run the tests of what is released: packages, deploy/, pages, other languages, loads
	@scripts/set-up.sh build
	@npm run --silent test:release

check: ## Format, lint, layers, sizes, names, words, types, unused code, generated files, fast tests
	@scripts/set-up.sh
	@npm run --silent check

fix: ## Repair what make check finds and a program can: format, generated files, expressions
	@scripts/set-up.sh
	@npm run --silent fix

build: ## Compile src/ into dist/
	@scripts/set-up.sh
	@npm run --silent build

gen: ## Regenerate the wire code, config.toml.example, generated docs and the maps of the modules
	@scripts/set-up.sh
	@npm run --silent gen

packages: ## Make the npm packages gitaly-ts and gitaly-client in packages/
	@scripts/set-up.sh
	@npm run --silent packages

proto-packages: ## Make packages of the protocol for npm, Ruby, Go and Python in packages/protos/
	@scripts/set-up.sh
	@npm run --silent proto-packages

archive: ## Make an archive with Node inside, for this platform, in packages/
	@scripts/set-up.sh
	@npm run --silent archive

deb: ## Make a Debian package of the archive, for this architecture, in packages/
	@scripts/set-up.sh
	@npm run --silent deb

release-check: ## Say what a release still needs; changes nothing
	@scripts/set-up.sh
	@node scripts/release-check.ts

soak: ## Run the long forms of tests: two hours, or SOAK_HOURS=N
	@npm run --silent soak

bench: ## Measure; prints a table and writes JSON. One bench: make bench -- --only cluster
	@scripts/set-up.sh build
	@npm run --silent bench -- $(BENCH_OPTIONS)

# What follows `bench` are options of it, not targets.
ifeq (bench,$(firstword $(MAKECMDGOALS)))
BENCH_OPTIONS := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
ifneq (,$(BENCH_OPTIONS))
.PHONY: $(BENCH_OPTIONS)
$(BENCH_OPTIONS): ; @:
endif
endif

set-up: ## Only prepare: Node, packages, build
	@scripts/set-up.sh build
