// SPDX-License-Identifier: Apache-2.0
/*
 * Calendar arithmetic in eras of 400 years (146,097 days), with years that begin in March so that the leap day is the last. Here
 * because libc's timegm and gmtime carry a zone and limits of their own. Must never know of zones.
 */
#include "base/civil.h"

#define ERA_DAYS 146097
#define EPOCH	 719468 /* days from 0000-03-01 to 1970-01-01 */

static int64_t floor_div(int64_t a, int64_t b)
{
	return (a - (a < 0 ? b - 1 : 0)) / b;
}

int64_t civil_days(int64_t year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = floor_div(y, 400), of_era = y - era * 400;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH;
}

struct civil civil_of(int64_t days)
{
	int64_t d = days + EPOCH, era = floor_div(d, ERA_DAYS), of_era = d - era * ERA_DAYS;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
	int month = (int)(m < 10 ? m + 3 : m - 9);

	return (struct civil){.year = y + era * 400 + (month <= 2),
			      .month = month,
			      .day = (int)(of_year - (153 * m + 2) / 5 + 1)};
}

int civil_month_days(int64_t year, int month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && civil_leap(year));
}
