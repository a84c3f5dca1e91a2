// SPDX-License-Identifier: Apache-2.0
/*
 * The folder where an install keeps its state: made at the first start, and named for good.
 */
#ifndef CHELA_RUNTIME_HOME_H
#define CHELA_RUNTIME_HOME_H
#include "base/err.h"
#include "base/mem.h"

/* Makes home and its folders where absent (0700; groups/global 0755) and reads <home>/instance, the
 * UUID that makes containers ours; it is made when there is none yet. */
int home_prepare(const char *home, char instance[37], struct err *e) must_check;

#endif
