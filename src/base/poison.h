// SPDX-License-Identifier: Apache-2.0
/*
 * Calls that have no place in this tree: unbounded copies, parsers that cannot fail, shells and
 * guessable files. The Makefile puts this file in front of every source (-include), so nobody can
 * forget it. The system headers that declare these names come first, else they would not compile.
 */
#ifndef CHELA_BASE_POISON_H
#define CHELA_BASE_POISON_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#pragma GCC poison strcpy stpcpy strcat sprintf vsprintf gets strtok
#pragma GCC poison atoi atol atoll atof
#pragma GCC poison popen tmpnam tempnam mktemp usleep

#endif
