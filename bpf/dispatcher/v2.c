// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

//go:build ignore

#define DISPATCHER_VERSION 2
#include "dispatcher.h"
