# SPDX-License-Identifier: Apache-2.0
"""When a schedule is due, by brute force: the rules of src/base/slots.h once more, written from that text alone.

Owns: a zone as a list of stretches with one offset each (Python's zoneinfo says which), and every wall minute of
a range held against the five fields. Why: an engine that jumps from slot to slot is only to be believed when
something that cannot jump agrees. Must never share a thought with the C code: no bit masks, no next-match.
"""
import bisect
import datetime
import functools
import zoneinfo

EPOCH = datetime.datetime(1970, 1, 1)
UTC = datetime.timezone.utc
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()
FORMS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
         "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *",
         "@annually": "0 0 1 1 *"}


def seconds(*parts):
    """Of a wall clock's time, or of UTC: since 1970-01-01 00:00 there."""
    return int((datetime.datetime(*parts) - EPOCH).total_seconds())


class Zone:
    """The stretches of one offset between two years: (start, end, offset), in UTC seconds."""

    def __init__(self, name, first_year, last_year):
        self.name, info = name, zoneinfo.ZoneInfo(name)

        def offset(t):
            moment = datetime.datetime.fromtimestamp(t, UTC).astimezone(info)
            return int(moment.utcoffset().total_seconds())

        start, end = seconds(first_year, 1, 1) - 86400 * 4, seconds(last_year, 1, 1) + 86400 * 4
        self.stretches, begin, before = [], start, offset(start)
        step = 3 * 3600  # no zone of these years has two changes within three hours
        for t in range(start + step, end, step):
            if offset(t) == before:
                continue
            low, high = t - step, t
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            self.stretches.append((begin, high, before))
            begin, before = high, offset(high)
        self.stretches.append((begin, end, before))
        self.starts = [s[0] for s in self.stretches]

    def changes(self):
        return self.starts[1:]

    def moments(self, wall):
        """When the clock shows this; when it never does, None and the moment it jumps over it."""
        at = bisect.bisect_right(self.starts, wall) - 1
        near = self.stretches[max(0, at - 2):at + 3]
        shown = [wall - o for begin, end, o in near if begin <= wall - o < end]
        if shown:
            return shown, None
        for (_, jump, before), (_, _, after) in zip(near, near[1:]):
            if jump + before <= wall < jump + after:
                return [], jump
        raise AssertionError(f"{self.name}: {wall} is outside of the years that were asked for")


@functools.lru_cache(maxsize=None)
def zone(name, first_year=1974, last_year=2077):
    return Zone(name, first_year, last_year)


def one(text, names, first):
    text = text.lower()
    return names.index(text) + first if text in names else int(text)


def members(field, low, high, names=(), first=0):
    """The numbers a field stands for."""
    out = set()
    for part in field.split(","):
        head, _, step = part.partition("/")
        if head == "*":
            a, b = low, high
        elif "-" in head:
            a, b = (one(x, names, first) for x in head.split("-"))
            if names == WEEKDAYS and b == 0 < a:
                b = 7
        else:
            a = b = one(head, names, first)
        out |= {n for n in range(a, b + 1) if (n - a) % int(step or 1) == 0}
    return out


class Cron:
    def __init__(self, text):
        minute, hour, day, month, weekday = FORMS.get(text.lower(), text).split()
        self.times = sorted(h * 3600 + m * 60 for h in members(hour, 0, 23)
                            for m in members(minute, 0, 59))
        self.days, self.months = members(day, 1, 31), members(month, 1, 12, MONTHS, 1)
        self.weekdays = {n % 7 for n in members(weekday, 0, 7, WEEKDAYS)}
        self.by_clock = hour.startswith("*")
        self.either = not day.startswith("*") and not weekday.startswith("*")

    def has_day(self, day):
        """Of a day's number since 1970-01-01."""
        date = EPOCH + datetime.timedelta(days=day)
        by_month, by_week = date.day in self.days, date.isoweekday() % 7 in self.weekdays
        return date.month in self.months and (by_month or by_week if self.either
                                              else by_month and by_week)

    def slots(self, where, after, until):
        """In (after, until], UTC seconds."""
        found = set()
        for day in range((after - 3 * 86400) // 86400, (until + 3 * 86400) // 86400 + 1):
            if not self.has_day(day):
                continue
            for time in self.times:
                shown, jump = where.moments(day * 86400 + time)
                if self.by_clock:
                    found.update(shown)
                else:
                    found.add(shown[0] if shown else jump)
        return sorted(t for t in found if after < t <= until)


def every(length, anchor, after, until):
    return [t for t in range(anchor, until + 1, length) if t > after]


def at(where, wall):
    shown, jump = where.moments(wall)
    return shown[0] if shown else jump
