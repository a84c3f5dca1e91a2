// SPDX-License-Identifier: Apache-2.0
/*
 * Days of the proleptic Gregorian calendar, counted from 1970-01-01 (a Thursday). Pure arithmetic, any year.
 */
#ifndef CHELA_BASE_CIVIL_H
#define CHELA_BASE_CIVIL_H
#include <stdbool.h>
#include <stdint.h>

#define DAY_S 86400

struct civil {
	int64_t year;
	int month, day; /* from 1 */
};

int64_t civil_days(int64_t year, int month, int day);
struct civil civil_of(int64_t days);
int civil_month_days(int64_t year, int month);
static inline bool civil_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}
/* 0 is Sunday. */
static inline int civil_weekday(int64_t days)
{
	return (int)(((days + 4) % 7 + 7) % 7);
}
/* The day a second falls on; C's division goes toward zero, this goes down. */
static inline int64_t civil_day_of(int64_t s)
{
	return (s - (s < 0 ? DAY_S - 1 : 0)) / DAY_S;
}

#endif
