# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets. Building needs Go alone; what else a target needs
# is installed with apt when root runs it, or named (hack/need.sh).

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0

# Go stamps version and commit into the binaries where the checkout is readable
# for git; this overrides GOFLAGS=-buildvcs=false.
BUILDVCS := $(shell git rev-parse --verify -q HEAD >/dev/null 2>&1 && echo true || echo false)

# What runs often and alone, and so is worth the race detector's time: the
# libraries. The black-box suites drive binaries, which it cannot see into.
RACED    := ./bpf/... ./conf/... ./internal/... ./pkg/... ./plugins/... ./cmd/...
BLACKBOX := ./integration/...

COMPILER := clang-19 llvm-strip-19 /usr/include/bpf/bpf_helpers.h /usr/include/linux/bpf.h

.PHONY: build
build: ## Build the static binaries into bin/
	CGO_ENABLED=0 go build -trimpath -buildvcs=$(BUILDVCS) -ldflags '-s -w' -o bin/ ./plugins/meta/xdp-chain ./cmd/xdpctl

.PHONY: demo
demo: root build ## Two pods, a chain of three programs and real packets, in namespaces of its own (root)
	@hack/need.sh ip ping nsenter
	@hack/cni-plugins.sh
	@hack/demo.sh

.PHONY: test
test: root build lint ## Everything CI runs: lint, objects against sources, all tests (root)
	hack/need.sh $(COMPILER) gcc /usr/include/stdio.h ip ping bpftool sysctl
	hack/cni-plugins.sh
	hack/containerd.sh
	hack/check-generated.sh
	CGO_ENABLED=1 go test -race -count=1 -timeout 15m $(RACED)
	go test -count=1 -timeout 20m $(BLACKBOX)
	$(MAKE) --no-print-directory lab

.PHONY: containerd
containerd: root ## Pods on containerd, the distribution's and a current one (root)
	hack/cni-plugins.sh
	hack/containerd.sh
	go test -count=1 -v ./integration/containerd

.PHONY: lab
lab: ## The tests in Debian's kernels 5.10, 6.1 and 6.12, under QEMU
	go run ./integration/vm

.PHONY: bench
bench: root build ## Measure ADD, DEL, packets and swaps, each against its bare alternative (root)
	@go run ./integration/bench

# The kernel for bench-insns; go run ./integration/vm -h names those there are.
KERNEL ?= 6.12

.PHONY: bench-insns
bench-insns: ## Count instructions a packet, in each way to chain programs (KERNEL=6.1 for that kernel's)
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o .cache/insns/bench ./integration/bench
	@go run ./integration/vm -kernel $(KERNEL) -icount -file .cache/insns/bench=bin/bench bin/bench insns

.PHONY: generate
generate: ## Rebuild the committed BPF objects (clang-19), the methods of enumerations, and the reference of xdpctl
	@hack/need.sh $(COMPILER)
	go generate ./...

.PHONY: lint
lint: ## go vet, staticcheck, gofumpt, and what others import against hack/api
	go vet ./...
	go run $(STATICCHECK) ./...
	@unformatted=$$(go run $(GOFUMPT) -l .) && if [ -n "$$unformatted" ]; then \
		echo "not formatted; run go run $(GOFUMPT) -w on:" $$unformatted >&2; exit 1; fi
	hack/api.sh

.PHONY: api
api: ## Write down what others import from pkg/, after a change that is meant
	hack/api.sh write

# Said before anything is built, and because go test alone passes over what it
# may not run.
.PHONY: root
root:
	@[ "$$(id -u)" -eq 0 ] || { echo "this loads BPF programs and makes namespaces: run it as root" >&2; exit 1; }

.PHONY: clean
clean: ## Remove what was built and fetched into this checkout
	rm -rf bin .cache

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
