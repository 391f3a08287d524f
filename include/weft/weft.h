/* SPDX-License-Identifier: MIT */
/* All of Weft. */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <weft/base.h>
#include <weft/blocking.h>
#include <weft/chan.h>
#include <weft/coro.h>
#include <weft/fork.h>
#include <weft/group.h>
#include <weft/io.h>
#include <weft/local.h>
#include <weft/runtime.h>
#include <weft/scope.h>
#include <weft/stats.h>
#include <weft/sync.h>
#include <weft/task.h>
#include <weft/time.h>
#include <weft/timer.h>
#include <weft/version.h>

#endif
